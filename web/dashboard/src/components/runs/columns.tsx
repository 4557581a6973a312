/** The columns of the run list: those there are, how each is shown, and which of them a person has chosen. */
import type { ReactNode } from "react";

import { isTerminal } from "../../services/runs";
import type { TaskSummary } from "../../services/schemas";
import { keep, kept } from "../kept";
import { errorSummary } from "../errorSummary";
import { MetadataChips, metadataText } from "../MetadataChips";
import { StatusPill } from "../StatusPill";
import { Ago, Took } from "../Times";
import { WaitSentence } from "./WaitSentence";

export interface RunColumn {
  readonly id: string;
  readonly title: string;
  readonly cell: (run: TaskSummary) => ReactNode;
  /** Narrow screens keep what identifies a run and how it goes. */
  readonly look?: string;
}

/** Asked of live memory, and only while it is shown. */
export const WAITS_COLUMN = "waits";

const COLUMNS: readonly RunColumn[] = [
  {
    id: "status",
    title: "Status",
    cell: (run) => (
      <span className="inline-flex flex-wrap items-center gap-1.5">
        <StatusPill status={run.status} />
        {run.isEvicted && <span className="text-xs text-ink-soft">asleep</span>}
      </span>
    ),
  },
  { id: "workflow", title: "Workflow", cell: (run) => run.workflowName ?? "–", look: "hidden md:table-cell" },
  { id: "created", title: "Created", cell: (run) => <Ago instantMs={run.createdAt} /> },
  { id: "started", title: "Started", cell: (run) => (run.startedAt === null ? "–" : <Ago instantMs={run.startedAt} />), look: "hidden md:table-cell" },
  { id: "finished", title: "Finished", cell: (run) => (run.finishedAt === null ? "–" : <Ago instantMs={run.finishedAt} />), look: "hidden md:table-cell" },
  { id: "duration", title: "Duration", cell: (run) => <Took span={run} live={!isTerminal(run.status)} />, look: "hidden sm:table-cell" },
  { id: "attempt", title: "Attempt", cell: (run) => run.attempt, look: "hidden md:table-cell" },
  { id: WAITS_COLUMN, title: "Why it waits", cell: (run) => <WaitSentence run={run} />, look: "hidden md:table-cell max-w-80 text-xs" },
  {
    id: "error",
    title: "Error",
    cell: (run) => run.errorMessage !== null && <span className="line-clamp-2 font-mono text-xs text-failed">{errorSummary(run.errorMessage)}</span>,
    look: "hidden md:table-cell max-w-96",
  },
  { id: "key", title: "Idempotency key", cell: (run) => run.idempotencyKey ?? "–", look: "hidden md:table-cell max-w-60 break-words" },
  { id: "metadata", title: "Metadata", cell: (run) => <MetadataChips metadata={run.additionalMetadata} />, look: "hidden lg:table-cell" },
  {
    id: "id",
    title: "Id",
    cell: (run) => <code className="text-xs">{run.workflowRunExternalId}</code>,
    look: "hidden lg:table-cell",
  },
];

export const USUAL_COLUMNS: readonly string[] = ["status", "workflow", "created", "duration", "metadata"];
export const COLUMN_CHOICES: readonly { readonly id: string; readonly title: string }[] = COLUMNS;

/** A column of its own for a key of metadata has this before the key. */
const OF_METADATA = "meta:";
const COLUMNS_KEY = "broadaxe.runs.columns";

export function metadataColumn(key: string): string {
  return OF_METADATA + key;
}

/** In the order they are shown in; ids that there are no columns for are passed over. */
export function columnsOf(ids: readonly string[]): readonly RunColumn[] {
  const fixed = COLUMNS.filter((column) => ids.includes(column.id));
  const ofMetadata = ids.filter((id) => id.startsWith(OF_METADATA)).map((id) => {
    const key = id.slice(OF_METADATA.length);
    return {
      id,
      title: key,
      cell: (run: TaskSummary) => (Object.hasOwn(run.additionalMetadata, key) ? metadataText(run.additionalMetadata[key]) : "–"),
      look: "hidden md:table-cell max-w-60 break-words",
    };
  });
  return [...fixed, ...ofMetadata];
}

export function keptColumns(): readonly string[] {
  const text = kept(COLUMNS_KEY);
  return text === null ? USUAL_COLUMNS : text.split("\n").filter((id) => id !== "");
}

export function keepColumns(ids: readonly string[]): void {
  keep(COLUMNS_KEY, ids.join("\n") === USUAL_COLUMNS.join("\n") ? null : ids.join("\n"));
}
