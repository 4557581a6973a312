/** Everything about one task: output, error, input, logs and events, for any of its attempts. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { Step } from "../graph/steps";
import { isTerminal, taskAttemptQuery } from "../services/runs";
import type { TaskEvent, TaskSummary } from "../services/schemas";
import { CopyButton } from "./CopyButton";
import { errorText } from "./errorSummary";
import { EventTimeline } from "./EventTimeline";
import { JsonViewer } from "./JsonViewer";
import { LogView } from "./LogView";
import { StatusPill } from "./StatusPill";
import { TaskWaiting } from "./TaskWaiting";
import { Card, CardHeader } from "./ui/card";
import { Tabs, type Tab } from "./ui/tabs";

type TabId = "output" | "error" | "input" | "logs" | "events";

export function TaskPanel({ step, task: latest, events }: { step: Step; task: TaskSummary; events: readonly TaskEvent[] }) {
  const [attempt, setAttempt] = useState<number | null>(null);
  const looksBack = attempt !== null && attempt !== latest.attempt;
  const older = useQuery({ ...taskAttemptQuery(latest.taskExternalId, attempt ?? latest.attempt), enabled: looksBack });
  const task = looksBack ? (older.data ?? latest) : latest;

  const [chosen, setChosen] = useState<TabId | null>(null);
  const own = events.filter((event) => event.taskId === latest.taskExternalId);
  const errorLabel = task.status === "CANCELLED" ? "Reason" : "Error";
  const tabs: readonly Tab<TabId>[] = [
    ...(task.errorMessage === null ? [] : [{ id: "error", label: errorLabel } as const]),
    { id: "output", label: "Output" },
    { id: "input", label: "Input" },
    { id: "logs", label: "Logs" },
    { id: "events", label: "Events", badge: own.length },
  ];
  // The chosen tab may vanish, for example the error when the task is replayed.
  const shown = tabs.find((tab) => tab.id === chosen)?.id ?? tabs[0]?.id ?? "output";

  return (
    <Card aria-label={`Task ${step.name}`} data-testid="task-panel" className="lg:sticky lg:top-4">
      <CardHeader
        title={
          <span className="flex flex-wrap items-center gap-2">
            <span className="break-all">{step.name}</span>
            <StatusPill status={looksBack ? task.status : step.status} />
          </span>
        }
      >
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
      </CardHeader>
      {looksBack && older.error !== null && (
        <p role="alert" className="border-b border-line px-4 py-2 text-sm text-failed">
          Attempt {attempt} could not be loaded: {older.error.message}
        </p>
      )}
      {!isTerminal(latest.status) && <TaskWaiting taskId={latest.taskExternalId} />}
      <Tabs label={`Details of ${step.name}`} tabs={tabs} chosen={shown} onChoose={setChosen}>
        {shown === "error" && <ErrorText label={errorLabel} text={errorText(task.errorMessage ?? "")} />}
        {shown === "output" && <JsonViewer label="Output" value={task.output} empty={absence(task, "This task has no output.")} />}
        {shown === "input" && <JsonViewer label="Input" value={task.input} empty={absence(task, "This task was given no input.")} />}
        {shown === "logs" && <LogView taskId={task.taskExternalId} />}
        {shown === "events" && <EventTimeline events={own} />}
      </Tabs>
    </Card>
  );
}

function absence(task: TaskSummary, otherwise: string): string {
  if (task.payloadsRestricted) return "You are not allowed to see the payloads of this tenant.";
  return isTerminal(task.status) ? otherwise : "Nothing yet.";
}

function ErrorText({ label, text }: { label: string; text: string }) {
  return (
    <div className="relative">
      <div className="absolute top-2 right-3">
        <CopyButton label={label} text={text} />
      </div>
      <pre
        role="region"
        aria-label={label}
        // A scrollable region must be reachable by keyboard to be scrolled by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        className="max-h-96 overflow-auto px-4 py-3 pr-20 font-mono text-xs leading-relaxed break-words whitespace-pre-wrap text-failed -outline-offset-2"
      >
        {text}
      </pre>
    </div>
  );
}
