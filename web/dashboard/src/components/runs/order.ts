/** The orders of the run list. The engine has an index for creation only; the others are orders of the rows shown. */
import type { RunOrder } from "../../routes/searches";
import type { TaskSummary } from "../../services/schemas";

interface OrderOfShown {
  readonly order: RunOrder;
  readonly title: string;
  /** Greatest first; rows without a value come last. */
  readonly by: (run: TaskSummary) => number | null;
}

export const ORDERS_OF_SHOWN: readonly OrderOfShown[] = [
  { order: "longest", title: "Longest first", by: durationOf },
  { order: "shortest", title: "Shortest first", by: (run) => negative(durationOf(run)) },
];

export function orderedRuns(runs: readonly TaskSummary[], order: RunOrder | undefined): readonly TaskSummary[] {
  const by = ORDERS_OF_SHOWN.find((one) => one.order === order)?.by;
  if (by === undefined) return runs;
  const withValue = runs.filter((run) => by(run) !== null);
  const without = runs.filter((run) => by(run) === null);
  return [...withValue.toSorted((one, other) => (by(other) ?? 0) - (by(one) ?? 0)), ...without];
}

/** Of runs that have ended; how long the others will take nobody knows. */
function durationOf(run: TaskSummary): number | null {
  if (run.startedAt === null || run.finishedAt === null) return null;
  return run.duration ?? run.finishedAt - run.startedAt;
}

function negative(value: number | null): number | null {
  return value === null ? null : -value;
}
