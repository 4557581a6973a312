/** The table of runs. Each row leads to its run; the name is a real link, so it opens in a new tab too. */
import { Link } from "@tanstack/react-router";
import { createColumnHelper, flexRender, getCoreRowModel, useReactTable } from "@tanstack/react-table";
import type { Dispatch, SetStateAction } from "react";

import { isTerminal } from "../services/runs";
import type { TaskSummary } from "../services/schemas";
import { MetadataChips } from "./MetadataChips";
import { StatusPill } from "./StatusPill";
import { Ago, Took } from "./Times";

const column = createColumnHelper<TaskSummary>();

const columns = [
  column.accessor("displayName", {
    header: "Run",
    cell: ({ row }) => (
      <Link
        to="/runs/$id"
        params={{ id: row.original.workflowRunExternalId }}
        className="font-medium wrap-anywhere text-ink hover:text-accent hover:underline"
      >
        {row.original.displayName}
      </Link>
    ),
  }),
  column.accessor("status", { header: "Status", cell: ({ getValue }) => <StatusPill status={getValue()} /> }),
  column.accessor("workflowName", { header: "Workflow", cell: ({ getValue }) => getValue() ?? "–" }),
  column.accessor("createdAt", { header: "Created", cell: ({ getValue }) => <Ago instantMs={getValue()} /> }),
  column.display({
    id: "duration",
    header: "Duration",
    cell: ({ row }) => <Took span={row.original} live={!isTerminal(row.original.status)} />,
  }),
  column.accessor("additionalMetadata", {
    header: "Metadata",
    cell: ({ getValue }) => <MetadataChips metadata={getValue()} />,
  }),
];

/** Narrow screens keep what identifies a run and how it goes. */
const NARROW_HIDDEN: Readonly<Record<string, string>> = {
  workflowName: "hidden md:table-cell",
  duration: "hidden sm:table-cell",
  additionalMetadata: "hidden lg:table-cell",
};

const rowKey = (row: TaskSummary): string => row.taskExternalId;

export function RunsTable({
  runs,
  chosen,
  onChoose,
}: {
  runs: readonly TaskSummary[];
  /** Ids of the runs whose boxes are ticked. */
  chosen: ReadonlySet<string>;
  onChoose: Dispatch<SetStateAction<ReadonlySet<string>>>;
}) {
  const ids = runs.map((run) => run.workflowRunExternalId);
  const areAllChosen = ids.length > 0 && ids.every((id) => chosen.has(id));

  function choose(changed: readonly string[], isChosen: boolean): void {
    onChoose((before) => {
      const after = new Set(before);
      for (const id of changed) {
        if (isChosen) after.add(id);
        else after.delete(id);
      }
      return after;
    });
  }

  // The table only reads its rows, but the library's type asks for a mutable array.
  // eslint-disable-next-line react-hooks/incompatible-library -- not memoised: rows change with every answer anyway
  const table = useReactTable({ data: runs as TaskSummary[], columns, getCoreRowModel: getCoreRowModel(), getRowId: rowKey });
  return (
    <div className="overflow-x-auto">
      <table aria-label="Runs" className="w-full text-left text-sm">
        <thead className="text-xs text-ink-soft">
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id} className="border-b border-line">
              <th scope="col" className="w-8 py-2 pl-4">
                <input
                  type="checkbox"
                  aria-label="Choose all runs on this page"
                  checked={areAllChosen}
                  onChange={(event) => choose(ids, event.target.checked)}
                />
              </th>
              {group.headers.map((header) => (
                <th key={header.id} scope="col" className={`px-4 py-2 font-medium ${NARROW_HIDDEN[header.column.id] ?? ""}`}>
                  {flexRender(header.column.columnDef.header, header.getContext())}
                </th>
              ))}
            </tr>
          ))}
        </thead>
        <tbody>
          {table.getRowModel().rows.map((row) => (
            <tr
              key={row.id}
              data-testid="run-row"
              data-run-id={row.original.workflowRunExternalId}
              className="border-b border-line last:border-0 hover:bg-sunken"
            >
              <td className="py-2.5 pl-4 align-middle">
                <input
                  type="checkbox"
                  aria-label={`Choose ${row.original.displayName}`}
                  checked={chosen.has(row.original.workflowRunExternalId)}
                  onChange={(event) => choose([row.original.workflowRunExternalId], event.target.checked)}
                />
              </td>
              {row.getVisibleCells().map((cell) => (
                <td key={cell.id} className={`px-4 py-2.5 align-middle ${NARROW_HIDDEN[cell.column.id] ?? ""}`}>
                  {flexRender(cell.column.columnDef.cell, cell.getContext())}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
