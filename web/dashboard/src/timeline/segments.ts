/**
 * The bars of the timeline: when a task waited and for what, when it ran, and how each attempt ended.
 *
 * Built from the task's events; a task whose events are not known (a run may have more than are told) gets its bars from
 * its own times. Segments are in order, do not overlap, and only the last one may be open (`endMs` null: it goes on now).
 * Events of one instant keep the order in which the engine lists them, oldest first; their ids are only names.
 *
 * A replay begins a *round* with a time axis of its own: what was before it, maybe days ago, is another picture. A task
 * that a replay has put back has no bar until it is queued: it waits for others, not for a worker.
 */
import { isTerminal } from "../services/runs";
import type { RunStatus, TaskEvent, TaskSummary } from "../services/schemas";

export type SegmentKind =
  | "held"
  | "queued"
  | "backoff"
  | "evicted"
  | "running"
  | "completed"
  | "failed"
  | "cancelled";

export interface Segment {
  readonly kind: SegmentKind;
  readonly startMs: number;
  readonly endMs: number | null;
}

type Phase = "held" | "queued" | "backoff" | "evicted" | "running";

const PHASE_AFTER: Readonly<Record<string, Phase>> = {
  CREATED: "held",
  QUEUED: "queued",
  RETRYING: "backoff",
  REASSIGNED: "queued",
  REQUEUED_NO_WORKER: "queued",
  REQUEUED_RATE_LIMIT: "queued",
  DURABLE_EVICTED: "evicted",
  DURABLE_RESTORING: "queued",
  STARTED: "running",
};
const OUTCOME_AFTER: Readonly<Record<string, "completed" | "failed" | "cancelled">> = {
  FINISHED: "completed",
  FAILED: "failed",
  TIMED_OUT: "failed",
  SCHEDULING_TIMED_OUT: "failed",
  RATE_LIMIT_ERROR: "failed",
  COULD_NOT_SEND_TO_WORKER: "failed",
  CANCELLED: "cancelled",
};

const KIND_OF_STATUS: Readonly<Record<RunStatus, SegmentKind>> = {
  QUEUED: "queued",
  RUNNING: "running",
  COMPLETED: "completed",
  FAILED: "failed",
  CANCELLED: "cancelled",
};

/** One try of the whole run: from its creation, or from a replay, to the next. */
export interface Round {
  readonly startMs: number;
  /** Null for the last. */
  readonly endMs: number | null;
  /** How many tasks the replay put back; 0 for the first round. */
  readonly replayed: number;
}

/** Tasks that one replay puts back are told of within the same instant. */
export function roundsOf(events: readonly TaskEvent[], createdAtMs: number): readonly Round[] {
  const replays = new Map<number, number>();
  for (const event of events) {
    if (event.eventType === "RETRIED_BY_USER") replays.set(event.timestamp, (replays.get(event.timestamp) ?? 0) + 1);
  }
  const starts = [...replays].toSorted(([left], [right]) => left - right);
  return [[createdAtMs, 0] as const, ...starts].map(([startMs, replayed], index) => ({
    startMs,
    endMs: starts[index]?.[0] ?? null,
    replayed,
  }));
}

/** The events of each task, oldest first. */
export function eventsByTask(events: readonly TaskEvent[]): ReadonlyMap<string, readonly TaskEvent[]> {
  const found = new Map<string, TaskEvent[]>();
  for (const event of events.toSorted((left, right) => left.timestamp - right.timestamp)) {
    const own = found.get(event.taskId);
    if (own === undefined) found.set(event.taskId, [event]);
    else own.push(event);
  }
  return found;
}

/** The bars of a task in a round; `own` are its events, oldest first. */
export function taskSegments(task: TaskSummary, own: readonly TaskEvent[], round: Round): readonly Segment[] {
  if (own.length === 0) return round.endMs === null ? fromTimes(task, round) : [];
  // Of a replay's own instant, what was before it (the end of the last round) belongs to that one.
  const isFirst = round.replayed === 0;
  const from = isFirst ? 0 : own.findIndex((event) => event.timestamp >= round.startMs && event.eventType === "RETRIED_BY_USER");
  if (from === -1) return [];
  const rest = own.slice(from);
  const next = rest.findIndex((event, index) => event.eventType === "RETRIED_BY_USER" && (isFirst || index > 0));
  const segments = fromEvents(next === -1 ? rest : rest.slice(0, next));
  // A task that this round's replay did not touch shows nothing in it.
  return !isFirst && rest[0] !== undefined && round.endMs !== null && rest[0].timestamp >= round.endMs ? [] : segments;
}

function fromEvents(events: readonly TaskEvent[]): readonly Segment[] {
  const segments: Segment[] = [];
  let phase: Phase | null = null;
  let sinceMs = 0;
  let assignedMs: number | null = null;
  for (const event of events) {
    if (event.eventType === "ASSIGNED" || event.eventType === "SENT_TO_WORKER") assignedMs ??= event.timestamp;
    const next = PHASE_AFTER[event.eventType];
    const outcome = OUTCOME_AFTER[event.eventType];
    const changes = next === undefined ? outcome !== undefined : next !== phase || assignedMs !== null;
    if (!changes || (next === "running" && phase === "running")) continue;
    if (phase === "queued" && assignedMs !== null && next !== "running") {
      // The worker never said that it began: it ran from its assignment for all anybody knows.
      segments.push({ kind: "queued", startMs: sinceMs, endMs: assignedMs });
      phase = "running";
      sinceMs = assignedMs;
    }
    if (phase !== null) {
      // A bar of waiting keeps its looks however it ends; one of running takes the colour of its outcome. A run that
      // goes straight back to waiting (a lost worker) was an attempt that failed; one that is evicted was none.
      const kind = phase === "running" ? (outcome ?? (next === "evicted" ? "completed" : "failed")) : phase;
      segments.push({ kind, startMs: sinceMs, endMs: event.timestamp });
    }
    if (next !== "running") assignedMs = null;
    phase = next ?? null;
    sinceMs = event.timestamp;
  }
  if (phase !== null) segments.push({ kind: phase, startMs: sinceMs, endMs: null });
  return segments.filter((segment) => segment.endMs === null || segment.endMs > segment.startMs || isAttempt(segment.kind));
}

/** An attempt is shown however short it was. */
function isAttempt(kind: SegmentKind): boolean {
  return kind === "completed" || kind === "failed" || kind === "cancelled";
}

function fromTimes(task: TaskSummary, round: Round): readonly Segment[] {
  const queuedMs = round.replayed === 0 ? task.createdAt : round.startMs;
  const waitingUntilMs = task.startedAt ?? task.finishedAt;
  // What was over before the replay has no part in it.
  if (round.replayed > 0 && waitingUntilMs !== null && waitingUntilMs < round.startMs) return [];
  const segments: Segment[] = [];
  if (waitingUntilMs === null || waitingUntilMs > queuedMs) {
    segments.push({ kind: "queued", startMs: queuedMs, endMs: waitingUntilMs });
  }
  if (task.startedAt !== null) {
    const endMs = isTerminal(task.status) ? (task.finishedAt ?? task.startedAt) : null;
    segments.push({ kind: KIND_OF_STATUS[task.status], startMs: task.startedAt, endMs });
  }
  return segments;
}
