/**
 * What went wrong around a run's attempts and what the engine made of it: workers that were lost, reports that may be,
 * assignments that did not arrive.
 *
 * Derived from the history of the run's tasks, and from nothing else: restarts of the engine are not recorded by run. What
 * can be told of them is what they did to attempts. Pure.
 */
import type { TaskEvent } from "../services/schemas";

export type IncidentKind = "worker-lost" | "cut-off" | "unconfirmed" | "not-sent";

export interface Incident {
  readonly kind: IncidentKind;
  readonly at: number;
  readonly taskId: string;
  /** The worker that had the attempt. */
  readonly workerId: string | null;
  /** In the engine's words. */
  readonly reason: string;
  /** When a worker began with the task again, and which; null while none has. */
  readonly resumedAt: number | null;
  readonly resumedBy: string | null;
  /** Tasks of the run that had completed by then: their outputs were kept. */
  readonly completedBefore: number;
  /** The attempt that followed. */
  readonly attempt: number | null;
}

function kindOf(event: TaskEvent): IncidentKind | null {
  if (event.eventType === "COULD_NOT_SEND_TO_WORKER") return "not-sent";
  if (event.eventType !== "REASSIGNED") return null;
  if (event.message.includes("cut off from the engine")) return "cut-off";
  if (event.message.includes("never confirmed")) return "unconfirmed";
  return "worker-lost";
}

/** Of each task's events, oldest first; the incidents of all of them, oldest first. */
export function incidentsOf(byTask: ReadonlyMap<string, readonly TaskEvent[]>): readonly Incident[] {
  const completions = [...byTask.values()].flatMap((events) => events.filter((event) => event.eventType === "FINISHED").map((event) => event.timestamp));
  const found: Incident[] = [];
  for (const [taskId, events] of byTask) {
    let workerId: string | null = null;
    events.forEach((event, index) => {
      if (event.eventType === "ASSIGNED") workerId = event.workerId;
      const kind = kindOf(event);
      if (kind === null) return;
      const again = events.slice(index + 1).find((later) => later.eventType === "STARTED" || later.eventType === "RETRIED_BY_USER");
      const resumed = again?.eventType === "STARTED" ? again : undefined;
      found.push({
        kind,
        at: event.timestamp,
        taskId,
        workerId: event.workerId ?? workerId,
        reason: event.message,
        resumedAt: resumed?.timestamp ?? null,
        resumedBy: resumed?.workerId ?? null,
        completedBefore: completions.filter((at) => at <= event.timestamp).length,
        attempt: event.attempt,
      });
    });
  }
  return found.toSorted((left, right) => left.at - right.at);
}
