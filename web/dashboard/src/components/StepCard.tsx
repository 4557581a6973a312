/** One step as a card: a node of the graph, or, for a run of a single task, the whole picture. */
import { isTerminal } from "../services/runs";
import type { Step } from "../graph/steps";
import { STATUS_LOOKS } from "./status";
import { StatusIcon } from "./StatusPill";
import { Took } from "./Times";
import { cn } from "./ui/classes";

export function StepCard({
  step,
  chosen,
  onChoose,
  className,
}: {
  step: Step;
  chosen: boolean;
  onChoose: (stepId: string) => void;
  className?: string;
}) {
  const look = STATUS_LOOKS[step.status];
  const absent = step.task === null;
  return (
    <button
      type="button"
      data-testid="step-card"
      data-status={step.status}
      aria-pressed={chosen}
      disabled={absent}
      onClick={() => onChoose(step.id)}
      className={cn(
        "flex items-center gap-2.5 rounded-lg border bg-card px-3 text-left shadow-xs",
        look.border,
        absent || step.status === "SKIPPED" ? "border-dashed opacity-70" : "hover:brightness-97 dark:hover:brightness-115",
        chosen && "ring-2 ring-accent ring-offset-2 ring-offset-card",
        className,
      )}
    >
      <span className={cn("grid size-7 shrink-0 place-items-center rounded-full", look.pill)}>
        <StatusIcon status={step.status} />
      </span>
      <span className="min-w-0 flex-1">
        <span className="flex items-center gap-1.5 text-sm font-medium">
          <span className="truncate" title={step.name}>
            {step.name}
          </span>
          {step.task !== null && step.task.attempt > 1 && (
            <span
              title={`Attempt ${step.task.attempt}`}
              className="shrink-0 rounded bg-sunken px-1 text-xs text-ink-soft tabular-nums"
            >
              ×{step.task.attempt}
            </span>
          )}
        </span>
        <span className="flex gap-1.5 overflow-hidden text-xs whitespace-nowrap text-ink-soft">
          <span>{look.label}</span>
          {step.task !== null && step.task.startedAt !== null && (
            <>
              <span aria-hidden="true">·</span>
              <Took span={step.task} live={!isTerminal(step.task.status)} />
            </>
          )}
        </span>
      </span>
    </button>
  );
}
