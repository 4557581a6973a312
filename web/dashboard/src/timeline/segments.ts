/**
 * The bars of the waterfall: when a task waited, when it ran, and how each attempt ended.
 *
 * Built from the task's events; a task whose events are not known (yet) gets its bars from its own times. Segments are
 * in order, do not overlap, and only the last one may be open (`endMs` null: it goes on now). Events of one instant keep
 * the order in which the engine lists them, oldest first; their ids are only names.
 */
import { isTerminal } from "../services/runs";
import type { RunStatus, TaskEvent, TaskSummary } from "../services/schemas";

export type SegmentKind = "waiting" | "running" | "completed" | "failed" | "cancelled";

export interface Segment {
  readonly kind: SegmentKind;
  readonly startMs: number;
  readonly endMs: number | null;
}

type Phase = "waiting" | "running" | "completed" | "failed" | "cancelled";

/** What an event means for the bar; events that change nothing (slot released, timeout refreshed) are absent. */
const PHASE_AFTER: Readonly<Record<string, Phase>> = {
  CREATED: "waiting",
  QUEUED: "waiting",
  RETRYING: "waiting",
  REASSIGNED: "waiting",
  RETRIED_BY_USER: "waiting",
  REQUEUED_NO_WORKER: "waiting",
  REQUEUED_RATE_LIMIT: "waiting",
  STARTED: "running",
  FINISHED: "completed",
  FAILED: "failed",
  TIMED_OUT: "failed",
  SCHEDULING_TIMED_OUT: "failed",
  RATE_LIMIT_ERROR: "failed",
  COULD_NOT_SEND_TO_WORKER: "failed",
  CANCELLED: "cancelled",
};

const KIND_OF_STATUS: Readonly<Record<RunStatus, SegmentKind>> = {
  QUEUED: "waiting",
  RUNNING: "running",
  COMPLETED: "completed",
  FAILED: "failed",
  CANCELLED: "cancelled",
};

export function taskSegments(task: TaskSummary, events: readonly TaskEvent[]): readonly Segment[] {
  const own = events
    .filter((event) => event.taskId === task.taskExternalId && event.eventType in PHASE_AFTER)
    .toSorted((left, right) => left.timestamp - right.timestamp);
  // Without any event that ends a wait the list is not whole (yet).
  return own.some((event) => PHASE_AFTER[event.eventType] !== "waiting") ? fromEvents(own) : fromTimes(task);
}

function fromEvents(events: readonly TaskEvent[]): readonly Segment[] {
  const segments: Segment[] = [];
  let phase: "waiting" | "running" | null = null;
  let sinceMs = 0;
  for (const event of events) {
    const next = PHASE_AFTER[event.eventType];
    if (next === undefined || next === phase) continue;
    if (phase !== null) {
      // A waiting bar keeps its looks however it ends; a running bar takes the colour of its outcome. A run that goes
      // straight back to waiting (retry, reassignment) was an attempt that failed.
      const outcome: SegmentKind = next === "waiting" || next === "running" ? "failed" : next;
      segments.push({ kind: phase === "waiting" ? "waiting" : outcome, startMs: sinceMs, endMs: event.timestamp });
    }
    phase = next === "waiting" || next === "running" ? next : null;
    sinceMs = event.timestamp;
  }
  if (phase !== null) segments.push({ kind: phase, startMs: sinceMs, endMs: null });
  return segments.filter((segment) => segment.endMs === null || segment.endMs > segment.startMs);
}

function fromTimes(task: TaskSummary): readonly Segment[] {
  const waitingUntilMs = task.startedAt ?? task.finishedAt;
  const segments: Segment[] = [];
  if (waitingUntilMs === null || waitingUntilMs > task.createdAt) {
    segments.push({ kind: "waiting", startMs: task.createdAt, endMs: waitingUntilMs });
  }
  if (task.startedAt !== null) {
    const endMs = isTerminal(task.status) ? (task.finishedAt ?? task.startedAt) : null;
    segments.push({ kind: KIND_OF_STATUS[task.status], startMs: task.startedAt, endMs });
  }
  return segments;
}
