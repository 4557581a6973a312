/**
 * The spans of a run under the tasks they were made in.
 *
 * A span belongs to the attempt that its chain of parents leads to; one whose parent nobody sent, to the task it names
 * itself. The engine's spans of the attempts are the bars of the timeline already, so they are not repeated. Pure.
 */
import type { Span } from "../services/traces";
import { inTreeOrder, type PlacedSpan } from "../traces/tree";

const ATTEMPT = "hatchet.engine.start_step_run";
const TASK_KEY = "hatchet.step_run_id";

export function nestSpans(spans: readonly Span[], taskIds: ReadonlySet<string>): ReadonlyMap<string, readonly PlacedSpan[]> {
  const found = new Map<string, PlacedSpan[]>();
  /** The spans around the present one that tell whose it is, outermost first; `indent` is where theirs begin. */
  const around: { readonly depth: number; readonly taskId: string; readonly indent: number }[] = [];
  for (const { span, depth } of inTreeOrder(spans)) {
    while ((around.at(-1)?.depth ?? -1) >= depth) around.pop();
    const named = span.spanAttributes[TASK_KEY];
    const taskId = named !== undefined && taskIds.has(named) ? named : null;
    if (span.spanName === ATTEMPT && taskId !== null) {
      around.push({ depth, taskId, indent: depth + 1 });
      continue;
    }
    if (around.length === 0 && depth === 0 && taskId !== null) around.push({ depth, taskId, indent: depth });
    const owner = around.at(-1);
    if (owner === undefined) continue;
    const own = found.get(owner.taskId);
    const placed = { span, depth: depth - owner.indent };
    if (own === undefined) found.set(owner.taskId, [placed]);
    else own.push(placed);
  }
  return found;
}

/** What the engine calls its own spans says little to a reader. */
export function spanLabel(span: Span): string {
  const workflow = span.spanAttributes["hatchet.workflow_name"];
  const task = span.spanAttributes["hatchet.task_name"];
  switch (span.spanName) {
    case "hatchet.engine.workflow_run":
      return `run of ${workflow ?? "a workflow"}`;
    case "hatchet.engine.queued":
      return `${task ?? "a task"} in the queue`;
    case ATTEMPT:
      return `${task ?? "a task"} runs`;
    case "hatchet.engine.event":
    case "hatchet.engine.event_emitted":
      return `event ${span.spanAttributes["hatchet.event_key"] ?? ""}`;
    default:
      return span.spanName;
  }
}
