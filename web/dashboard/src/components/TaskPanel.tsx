/** Everything about one task: output, error, input, logs, stream, durable log and events, for any of its attempts. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { downstreamOf, type Step } from "../graph/steps";
import { isTerminal, taskAttemptQuery } from "../services/runs";
import { replayTasks, restoreTask } from "../services/runFacts";
import type { TaskEvent, TaskSummary } from "../services/schemas";
import { ConfirmButton } from "./ConfirmButton";
import { ErrorView } from "./ErrorView";
import { EventTimeline } from "./EventTimeline";
import { JsonViewer } from "./JsonViewer";
import { LogView } from "./LogView";
import { DurableLog } from "./run/DurableLog";
import { StreamView } from "./run/StreamView";
import { StatusPill } from "./StatusPill";
import { TaskWaiting } from "./TaskWaiting";
import { Card, CardHeader } from "./ui/card";
import { Tabs, type Tab } from "./ui/tabs";

type TabId = "output" | "error" | "input" | "logs" | "stream" | "durable" | "events";

export function TaskPanel({
  tenantId,
  step,
  steps,
  task: latest,
  events,
  isDurable,
  hasEngine,
  tab: asked,
  onTab,
}: {
  tenantId: string;
  step: Step;
  /** All of the run: what comes after this one is replayed with it. */
  steps: readonly Step[];
  task: TaskSummary;
  events: readonly TaskEvent[];
  isDurable: boolean;
  /** False where a file is shown: nobody knows what the task waits for. */
  hasEngine: boolean;
  tab: string | null;
  onTab: (tab: string) => void;
}) {
  const [attempt, setAttempt] = useState<number | null>(null);
  const looksBack = attempt !== null && attempt !== latest.attempt;
  const older = useQuery({ ...taskAttemptQuery(latest.taskExternalId, attempt ?? latest.attempt), enabled: looksBack });
  const task = looksBack ? (older.data ?? latest) : latest;

  const own = events.filter((event) => event.taskId === latest.taskExternalId);
  const isLive = !isTerminal(latest.status);
  const errorLabel = task.status === "CANCELLED" ? "Reason" : "Error";
  const tabs: readonly Tab<TabId>[] = [
    ...(task.errorMessage === null ? [] : [{ id: "error", label: errorLabel } as const]),
    { id: "output", label: "Output" },
    { id: "input", label: "Input" },
    { id: "logs", label: "Logs" },
    // A stream that was opened stays until the reader leaves it.
    ...(isLive || asked === "stream" ? [{ id: "stream", label: "Stream" } as const] : []),
    ...(isDurable ? [{ id: "durable", label: "Durable log" } as const] : []),
    { id: "events", label: "Events", badge: own.length },
  ];
  // The chosen tab may vanish, for example the error when the task is replayed.
  const shown = tabs.find((tab) => tab.id === asked)?.id ?? tabs[0]?.id ?? "output";

  return (
    <Card aria-label={`Task ${step.name}`} data-testid="task-panel" className="scroll-mt-4 lg:sticky lg:top-4">
      <CardHeader
        title={
          <span className="flex flex-wrap items-center gap-2">
            <span className="break-all">{step.name}</span>
            <StatusPill status={looksBack ? task.status : step.status} />
          </span>
        }
      >
        <div className="flex flex-wrap items-center gap-2">
          {latest.attempt > 1 && (
            <label className="flex items-center gap-2 text-xs text-ink-soft">
              Attempt
              <select
                value={attempt ?? latest.attempt}
                onChange={(event) => {
                  const picked = Number(event.target.value);
                  setAttempt(picked === latest.attempt ? null : picked);
                }}
                className="h-7 rounded-md border border-line bg-card px-2 text-ink"
              >
                {Array.from({ length: latest.attempt }, (_, index) => latest.attempt - index).map((number) => (
                  <option key={number} value={number}>
                    {number} of {latest.attempt}
                  </option>
                ))}
              </select>
            </label>
          )}
          <TaskActs tenantId={tenantId} step={step} steps={steps} task={latest} />
        </div>
      </CardHeader>
      {looksBack && older.error !== null && (
        <p role="alert" className="border-b border-line px-4 py-2 text-sm text-failed">
          Attempt {attempt} could not be loaded: {older.error.message}
        </p>
      )}
      {isLive && hasEngine && <TaskWaiting taskId={latest.taskExternalId} />}
      <Tabs label={`Details of ${step.name}`} tabs={tabs} chosen={shown} onChoose={onTab}>
        {shown === "error" && <ErrorView label={errorLabel} text={task.errorMessage ?? ""} />}
        {shown === "output" && <JsonViewer label="Output" value={task.output} empty={absence(task, "This task has no output.")} />}
        {shown === "input" && <JsonViewer label="Input" value={task.input} empty={absence(task, "This task was given no input.")} />}
        {shown === "logs" && <LogView tenantId={tenantId} taskIds={[task.taskExternalId]} />}
        {shown === "stream" && <StreamView runId={task.workflowRunExternalId} taskId={task.taskExternalId} />}
        {shown === "durable" && <DurableLog tenantId={tenantId} task={latest} later={downstreamOf(steps, step.id).size - 1} />}
        {shown === "events" && <EventTimeline events={own} />}
      </Tabs>
    </Card>
  );
}

function TaskActs({ tenantId, step, steps, task }: { tenantId: string; step: Step; steps: readonly Step[]; task: TaskSummary }) {
  const client = useQueryClient();
  const refresh = () => void client.invalidateQueries({ queryKey: ["runs"] });
  if (task.isEvicted) {
    return (
      <ConfirmButton
        label="Restore…"
        needs="restoreTask"
        title={`Bring ${step.name} back to a worker?`}
        confirm="Restore it"
        act={() => restoreTask(task.taskExternalId)}
        onDone={refresh}
      >
        <p>It waits off its worker until what it waits for comes. Restored, it is given to a worker at once and waits there.</p>
      </ConfirmButton>
    );
  }
  const touched = downstreamOf(steps, step.id);
  const isActive = steps.some((other) => touched.has(other.id) && (other.task === null || !isTerminal(other.task.status)));
  if (steps.length < 2) return null;
  return (
    <ConfirmButton
      label="Replay from here…"
      needs="replay"
      title={`Replay from ${step.name}?`}
      confirm={touched.size === 1 ? "Replay 1 task" : `Replay ${touched.size} tasks`}
      disabled={isActive}
      act={() => replayTasks(tenantId, [task.taskExternalId])}
      onDone={refresh}
    >
      <p>
        {touched.size === 1
          ? `${step.name} runs again; nothing comes after it.`
          : `${step.name} and the ${touched.size - 1} that come after it run again.`}{" "}
        What was done before is kept, and given to them as it was.
      </p>
    </ConfirmButton>
  );
}

function absence(task: TaskSummary, otherwise: string): string {
  if (task.payloadsRestricted) return "You are not allowed to see the payloads of this tenant.";
  return isTerminal(task.status) ? otherwise : "Nothing yet.";
}
