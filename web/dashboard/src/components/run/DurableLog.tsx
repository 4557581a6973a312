/** The durable log of a task: what it did, what it waits for and until when; a branch can be taken off any of it. */
import { useQuery, useQueryClient } from "@tanstack/react-query";

import { isTerminal } from "../../services/runs";
import { branchTask, DURABLE_ENTRIES_MAX, durableLogQuery, type DurableCondition, type DurableEntry } from "../../services/runFacts";
import type { TaskSummary } from "../../services/schemas";
import { formatDuration, formatUtc } from "../../time/format";
import { ConfirmButton } from "../ConfirmButton";
import { ErrorNotice, Loading } from "../Notice";
import { LocalTime } from "../Times";
import { cn } from "../ui/classes";

export function DurableLog({
  tenantId,
  task,
  later,
}: {
  tenantId: string;
  task: TaskSummary;
  /** How many tasks come after it: they are replayed with a branch. */
  later: number;
}) {
  const client = useQueryClient();
  const log = useQuery(durableLogQuery(tenantId, task.taskExternalId));
  if (log.data === undefined) {
    return log.error ? <ErrorNotice error={log.error} onRetry={() => void log.refetch()} /> : <Loading label="Loading the durable log…" />;
  }
  const entries = log.data;
  if (entries.length === 0) {
    return <p className="px-4 py-6 text-sm text-ink-soft">Nothing is recorded yet: it has neither slept, waited nor started another run.</p>;
  }
  const branches = new Set(entries.map((entry) => entry.branchId)).size;
  const isOver = isTerminal(task.status);
  return (
    <ol aria-label="Durable log" className="max-h-96 space-y-2.5 overflow-y-auto px-4 py-3 text-sm">
      {entries.map((entry) => (
        <li key={`${entry.branchId}-${entry.nodeId}`} data-testid="durable-entry" className="flex gap-3">
          <span
            aria-hidden="true"
            className={cn("mt-1.5 size-2 shrink-0 rounded-full", entry.isSatisfied ? "bg-completed" : isOver ? "bg-queued" : "bg-running")}
          />
          <div className="min-w-0 flex-1 break-words">
            <span className="font-medium">{whatItDid(entry)}</span>
            {branches > 1 && <span className="text-ink-soft"> · branch {entry.branchId}</span>}
            {entry.userMessage !== null && <span className="text-ink-soft"> · {entry.userMessage}</span>}
            <p className="text-xs text-ink-soft">
              <LocalTime instantMs={entry.insertedAt} />
              {entry.satisfiedAt === null ? (
                <Until entry={entry} isOver={isOver} />
              ) : (
                ` – done after ${formatDuration(entry.satisfiedAt - entry.insertedAt)}`
              )}
            </p>
          </div>
          {isOver && (
            <ConfirmButton
              label="Branch…"
              needs="branchDurableTask"
              accessibleName={`Branch from operation ${entry.nodeId}`}
              title={`Do it again from operation ${entry.nodeId}?`}
              confirm={later === 0 ? "Branch" : `Branch, and replay ${later}`}
              act={() => branchTask(tenantId, task.taskExternalId, entry)}
              onDone={() => void client.invalidateQueries({ queryKey: ["runs"] })}
            >
              <p>
                The task starts anew on a branch of its log. What it recorded before operation {entry.nodeId} is given back to it as it was; from
                there on it is done again.{" "}
                {later > 0 && (later === 1 ? "The task that comes after it is replayed as well." : `The ${later} tasks that come after it are replayed as well.`)}
              </p>
            </ConfirmButton>
          )}
        </li>
      ))}
      {entries.length >= DURABLE_ENTRIES_MAX && <li className="text-xs text-ink-soft">The first {DURABLE_ENTRIES_MAX} operations are shown.</li>}
    </ol>
  );
}

function Until({ entry, isOver }: { entry: DurableEntry; isOver: boolean }) {
  if (isOver) return <> – was not done when the task ended</>;
  const ends = sleepsOf(entry).map((ms) => entry.insertedAt + ms);
  const first = Math.min(...ends);
  if (!Number.isFinite(first)) return <> – waits, without an end of its own</>;
  return (
    <>
      {" "}
      – waits until <LocalTime instantMs={first} />
      {entry.waitData.some((item) => item.or.length > 0) && " at the latest"}
      <span className="sr-only"> ({formatUtc(first)})</span>
    </>
  );
}

/** How long its sleeps take, whichever of them counts. */
function sleepsOf(entry: DurableEntry): readonly number[] {
  return entry.waitData.flatMap((item) => [item, ...item.or]).flatMap((item) => (item.sleepDurationMs === null ? [] : [item.sleepDurationMs]));
}

function whatItDid(entry: DurableEntry): string {
  if (entry.kind === "MEMO") return "remembered a value";
  const parts = entry.waitData.map((item) => (item.or.length > 0 ? item.or.map(condition).join(" or ") : condition(item)));
  if (entry.kind === "RUN") return parts[0] ?? "started a run";
  return parts.length === 0 ? "waited" : parts.join(" and ");
}

function condition(item: DurableCondition): string {
  switch (item.kind) {
    case "SLEEP":
      return `sleep of ${formatDuration(item.sleepDurationMs ?? 0)}`;
    case "USER_EVENT":
      return `event ${item.eventKey ?? ""}`;
    case "CHILD_WORKFLOW":
      return `run of ${item.workflowName ?? "another workflow"}`;
    case null:
      return "a condition";
  }
}
