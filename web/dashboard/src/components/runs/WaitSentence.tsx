/** Why a run of the list does not go on: the first of its tasks that wait, and how many there are. */
import { createContext, use } from "react";

import type { TaskSummary } from "../../services/schemas";

/** What the rows of a table wait for, by the ids of the runs. */
export const WaitSentences = createContext<ReadonlyMap<string, readonly string[]>>(new Map());

export function WaitSentence({ run }: { run: TaskSummary }) {
  const [first, ...more] = use(WaitSentences).get(run.workflowRunExternalId) ?? [];
  if (first === undefined) return "–";
  return (
    <>
      {first}
      {more.length > 0 && <span className="text-ink-soft"> (and {more.length} more)</span>}
    </>
  );
}
