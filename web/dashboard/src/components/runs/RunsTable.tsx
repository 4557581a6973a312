/**
 * The table of runs. The name of each leads to its page; the rest of the row opens it in the side panel. A run with child
 * runs unfolds them under it.
 *
 * By keyboard: j and k go from row to row, Enter opens the side panel, x ticks the box.
 */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type Dispatch, type KeyboardEvent, type MouseEvent, type SetStateAction } from "react";

import { EVERY_RUN } from "../../search/grammar";
import { rowsIn } from "../../services/pages";
import { isTerminal } from "../../services/runs";
import { runListQuery } from "../../services/runSearch";
import type { TaskSummary } from "../../services/schemas";
import { waitSentencesQuery } from "../../services/waiting";
import { Button } from "../ui/button";
import { cn } from "../ui/classes";
import { WAITS_COLUMN, type RunColumn } from "./columns";
import { WaitSentences } from "./WaitSentence";

const NOTHING: ReadonlyMap<string, readonly string[]> = new Map();

type Chosen = ReadonlySet<string>;

interface RowFrame {
  readonly tenantId: string;
  readonly columns: readonly RunColumn[];
  /** Ids of the runs whose boxes are ticked. */
  readonly chosen: Chosen;
  readonly onChoose: Dispatch<SetStateAction<Chosen>>;
  /** The run in the side panel. */
  readonly peeked: string | null;
  readonly onPeek: (runId: string) => void;
}

export function RunsTable({ runs, ...frame }: RowFrame & { runs: readonly TaskSummary[] }) {
  const { columns, chosen, onChoose } = frame;
  const ids = runs.map((run) => run.taskExternalId);
  const waiting = useQuery({
    ...waitSentencesQuery(
      frame.tenantId,
      runs.filter((run) => !isTerminal(run.status)).map((run) => run.workflowRunExternalId),
    ),
    ...(columns.some((column) => column.id === WAITS_COLUMN) ? {} : { enabled: false }),
  });
  const areAllChosen = ids.length > 0 && ids.every((id) => chosen.has(id));
  return (
    <div className="overflow-x-auto">
      <table aria-label="Runs" className="w-full text-left text-sm">
        <thead className="text-xs text-ink-soft">
          <tr className="border-b border-line">
            <th scope="col" className="w-8 py-2 pl-4">
              <input
                type="checkbox"
                aria-label="Choose all runs shown"
                checked={areAllChosen}
                onChange={(event) => choose(onChoose, ids, event.target.checked)}
              />
            </th>
            <th scope="col" className="px-4 py-2 font-medium">
              Run
            </th>
            {columns.map((column) => (
              <th key={column.id} scope="col" className={cn("px-4 py-2 font-medium", column.look)}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <WaitSentences value={waiting.data ?? NOTHING}>
            {runs.map((run) => (
              <RunRow key={run.taskExternalId} run={run} depth={0} frame={frame} />
            ))}
          </WaitSentences>
        </tbody>
      </table>
    </div>
  );
}

function choose(onChoose: Dispatch<SetStateAction<Chosen>>, ids: readonly string[], isChosen: boolean): void {
  onChoose((before) => {
    const after = new Set(before);
    for (const id of ids) {
      if (isChosen) after.add(id);
      else after.delete(id);
    }
    return after;
  });
}

function RunRow({ run, depth, frame }: { run: TaskSummary; depth: number; frame: RowFrame }) {
  const { columns, chosen, onChoose, peeked, onPeek } = frame;
  const [isUnfolded, setIsUnfolded] = useState(false);
  const id = run.taskExternalId;
  const runId = run.workflowRunExternalId;

  function onClick(event: MouseEvent<HTMLElement>): void {
    // Links, boxes and buttons of the row do what they say, and a text may be marked.
    if ((event.target as HTMLElement).closest("a, button, input") !== null || window.getSelection()?.isCollapsed === false) return;
    onPeek(runId);
  }

  function onKeyDown(event: KeyboardEvent<HTMLElement>): void {
    if (event.target !== event.currentTarget) return;
    if (event.key === "Enter") onPeek(runId);
    else if (event.key === "x") choose(onChoose, [id], !chosen.has(id));
    else return;
    event.preventDefault();
  }

  return (
    <>
      {/* Clicks and keys are a second way to what the link and the box are for. */}
      <tr
        data-testid="run-row"
        data-run-id={runId}
        tabIndex={-1}
        onClick={onClick}
        onKeyDown={onKeyDown}
        className={cn("cursor-pointer border-b border-line last:border-0 hover:bg-sunken focus:bg-sunken", peeked === runId && "bg-sunken")}
      >
        <td className="py-2.5 pl-4 align-middle">
          <input
            type="checkbox"
            aria-label={`Choose ${run.displayName}`}
            checked={chosen.has(id)}
            onChange={(event) => choose(onChoose, [id], event.target.checked)}
          />
        </td>
        <td className="min-w-36 px-4 py-2.5 align-middle" style={{ paddingLeft: `${1 + depth * 1.25}rem` }}>
          <span className="flex flex-wrap items-center gap-x-2">
            <Link
              to="/runs/$id"
              params={{ id: runId }}
              search={id === runId ? {} : { task: id }}
              className="font-medium wrap-anywhere text-ink hover:text-accent hover:underline"
            >
              {run.displayName}
            </Link>
            {run.numSpawnedChildren > 0 && (
              <Button
                size="small"
                variant="ghost"
                aria-expanded={isUnfolded}
                aria-label={`${run.numSpawnedChildren.toLocaleString()} child ${run.numSpawnedChildren === 1 ? "run" : "runs"} of ${run.displayName}`}
                onClick={() => setIsUnfolded(!isUnfolded)}
              >
                <span aria-hidden="true">{isUnfolded ? "▾" : "▸"}</span> {run.numSpawnedChildren.toLocaleString()}
              </Button>
            )}
          </span>
        </td>
        {columns.map((column) => (
          <td key={column.id} className={cn("px-4 py-2.5 align-middle", column.look)}>
            {column.cell(run)}
          </td>
        ))}
      </tr>
      {isUnfolded && <ChildRows parentId={id} depth={depth + 1} frame={frame} />}
    </>
  );
}

function ChildRows({ parentId, depth, frame }: { parentId: string; depth: number; frame: RowFrame }) {
  const children = useInfiniteQuery(
    runListQuery(frame.tenantId, {
      query: { ...EVERY_RUN, parent: parentId },
      range: { kind: "ever" },
      ofTasks: false,
      oldestFirst: true,
    }),
  );
  if (children.data === undefined) {
    return (
      <WholeRow columns={frame.columns.length}>
        {children.error === null ? <span role="status">Loading child runs…</span> : <span role="alert">{children.error.message}</span>}
      </WholeRow>
    );
  }
  return (
    <>
      {rowsIn(children.data).map((run) => (
        <RunRow key={run.taskExternalId} run={run} depth={depth} frame={frame} />
      ))}
      {children.hasNextPage && (
        <WholeRow columns={frame.columns.length}>
          <Button size="small" disabled={children.isFetchingNextPage} onClick={() => void children.fetchNextPage()}>
            More child runs
          </Button>
        </WholeRow>
      )}
    </>
  );
}

function WholeRow({ columns, children }: { columns: number; children: React.ReactNode }) {
  return (
    <tr className="border-b border-line">
      <td colSpan={columns + 2} className="px-8 py-2 text-xs text-ink-soft">
        {children}
      </td>
    </tr>
  );
}
