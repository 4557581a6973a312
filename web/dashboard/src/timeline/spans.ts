/**
 * The spans of a run under the tasks they were made in.
 *
 * A span belongs to the attempt that its chain of parents leads to; one whose parent nobody sent, to the task it names
 * itself. The engine's spans of the attempts are the bars of the timeline already, so they are not repeated. Pure.
 */
import type { Span } from "../services/traces";

export interface NestedSpan {
  readonly span: Span;
  readonly depth: number;
}

const ATTEMPT = "hatchet.engine.start_step_run";
const TASK_KEY = "hatchet.step_run_id";

export function nestSpans(spans: readonly Span[], taskIds: ReadonlySet<string>): ReadonlyMap<string, readonly NestedSpan[]> {
  const known = new Set(spans.map((span) => span.spanId));
  const below = new Map<string, Span[]>();
  for (const span of spans) {
    if (span.parentSpanId === null) continue;
    const siblings = below.get(span.parentSpanId);
    if (siblings === undefined) below.set(span.parentSpanId, [span]);
    else siblings.push(span);
  }
  const found = new Map<string, NestedSpan[]>();
  const placed = new Set<string>();

  function add(taskId: string, span: Span, depth: number): void {
    // Clients may send what goes round in a circle.
    if (placed.has(span.spanId)) return;
    placed.add(span.spanId);
    const own = found.get(taskId) ?? [];
    found.set(taskId, own);
    own.push({ span, depth });
    for (const child of below.get(span.spanId) ?? []) add(taskId, child, depth + 1);
  }

  for (const span of spans) {
    const taskId = span.spanAttributes[TASK_KEY];
    if (span.spanName !== ATTEMPT || taskId === undefined || !taskIds.has(taskId)) continue;
    placed.add(span.spanId);
    for (const child of below.get(span.spanId) ?? []) add(taskId, child, 0);
  }
  for (const span of spans) {
    const taskId = span.spanAttributes[TASK_KEY];
    const isOrphan = span.parentSpanId === null || !known.has(span.parentSpanId);
    if (isOrphan && taskId !== undefined && taskIds.has(taskId)) add(taskId, span, 0);
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
