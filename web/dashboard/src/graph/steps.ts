/**
 * The steps of a run as the run page shows them: the workflow's shape joined with what exists so far.
 *
 * A step without a task is PENDING (or, when the run is over, it never came to be); a task whose events say SKIPPED
 * reads as skipped although the engine counts it as completed.
 */
import type { ShownStatus } from "../components/status";
import type { RunDetails, TaskSummary } from "../services/schemas";

export interface Step {
  readonly id: string;
  readonly name: string;
  readonly childIds: readonly string[];
  readonly task: TaskSummary | null;
  readonly status: ShownStatus;
}

/** The id the engine gives to a step whose task does not exist yet. */
const NIL_UUID = "00000000-0000-0000-0000-000000000000";

export function stepsOf(details: RunDetails): readonly Step[] {
  const skipped = new Set(
    details.taskEvents.filter((event) => event.eventType === "SKIPPED").map((event) => event.taskId),
  );
  const byId = new Map(details.tasks.map((task) => [task.taskExternalId, task]));
  const byStep = new Map(details.tasks.map((task) => [task.stepId, task]));
  return details.shape.map((item) => {
    const task = item.taskExternalId === NIL_UUID ? null : (byId.get(item.taskExternalId) ?? byStep.get(item.stepId) ?? null);
    let status: ShownStatus = task?.status ?? "PENDING";
    if (task?.status === "COMPLETED" && (skipped.has(task.taskExternalId) || isSkippedOutput(task))) status = "SKIPPED";
    return { id: item.stepId, name: item.taskName, childIds: item.childrenStepIds, task, status };
  });
}

/** What the engine writes for a task that it skipped; the event that says so may be beyond those that are told. */
function isSkippedOutput(task: TaskSummary): boolean {
  return task.startedAt === null && task.output["skipped"] === true && Object.keys(task.output).length === 1;
}

/** The step and everything that comes after it. */
export function downstreamOf(steps: readonly Step[], stepId: string): ReadonlySet<string> {
  const childrenOf = new Map(steps.map((step) => [step.id, step.childIds]));
  const found = new Set([stepId]);
  // What is added on the way is looked at as well.
  for (const id of found) for (const child of childrenOf.get(id) ?? []) found.add(child);
  return found;
}

/** The step to show first: what failed, else what runs, else the last that did something. */
export function stepOfInterest(steps: readonly Step[]): Step | null {
  const started = steps.filter((step) => step.task !== null);
  return (
    started.find((step) => step.status === "FAILED") ??
    started.find((step) => step.status === "RUNNING") ??
    started.findLast((step) => step.status !== "SKIPPED") ??
    started.at(-1) ??
    null
  );
}
