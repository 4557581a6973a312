/**
 * The steps of a run as the run page shows them: the workflow's shape joined with what exists so far.
 *
 * A step without a task is PENDING (or, when the run is over, it never came to be); a task whose events say SKIPPED
 * reads as skipped although the engine counts it as completed.
 */
import type { ShownStatus } from "../components/status";
import { taskOfStep } from "../services/runs";
import type { RunDetails, TaskSummary } from "../services/schemas";

export interface Step {
  readonly id: string;
  readonly name: string;
  readonly childIds: readonly string[];
  readonly task: TaskSummary | null;
  readonly status: ShownStatus;
}

export function stepsOf(details: RunDetails): readonly Step[] {
  const skipped = new Set(
    details.taskEvents.filter((event) => event.eventType === "SKIPPED").map((event) => event.taskId),
  );
  return details.shape.map((item) => {
    const task = taskOfStep(details, item.stepId);
    let status: ShownStatus = task?.status ?? "PENDING";
    if (task?.status === "COMPLETED" && skipped.has(task.taskExternalId)) status = "SKIPPED";
    return { id: item.stepId, name: item.taskName, childIds: item.childrenStepIds, task, status };
  });
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
