/** The tasks of a version: how often they are tried, how long they may take, and what holds them back. */
import { formatDuration } from "../../time/format";
import type { TaskCondition, TaskDefinition } from "../../services/definitions";
import { Card, CardHeader } from "../ui/card";

const ACTIONS: Readonly<Record<TaskCondition["action"], string>> = {
  QUEUE: "waits for",
  SKIP: "is skipped on",
  CANCEL: "is cancelled on",
};

export function TaskTable({ tasks }: { tasks: readonly TaskDefinition[] }) {
  return (
    <Card aria-label="Tasks">
      <CardHeader title="Tasks" />
      <ul className="divide-y divide-line text-sm">
        {tasks.map((task) => (
          <li key={task.id} className="grid gap-x-6 gap-y-1 px-4 py-3 md:grid-cols-[14rem_minmax(0,1fr)]">
            <div className="min-w-0">
              <p className="font-medium break-words">{task.name}</p>
              <p className="font-mono text-xs break-all text-ink-soft">{task.action_id}</p>
            </div>
            <ul className="min-w-0 space-y-0.5 text-ink-soft">
              {factsOf(task).map((fact) => (
                <li key={fact} className="break-words">
                  {fact}
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function factsOf(task: TaskDefinition): string[] {
  const retries = task.retries === 0 ? "Not tried again" : `Tried again ${task.retries} ${task.retries === 1 ? "time" : "times"}`;
  const backoff =
    task.retries > 0 && task.backoff_factor !== null
      ? `, after a wait that grows by ${task.backoff_factor}${task.backoff_max_s === null ? "" : ` up to ${formatDuration(task.backoff_max_s * 1_000)}`}`
      : "";
  const slots = Object.entries(task.slots).filter(([kind, units]) => kind !== "default" || units !== 1);
  return [
    ...(task.parents.length === 0 ? [] : [`After ${task.parents.join(", ")}`]),
    `${retries}${backoff}`,
    `May run ${formatDuration(task.execution_timeout_us / 1_000)} and wait ${formatDuration(task.schedule_timeout_us / 1_000)} for a worker`,
    ...(task.is_durable ? ["Durable: it may sleep and wait without holding a worker"] : []),
    ...(task.batch === null ? [] : [`Gathers up to ${task.batch.max_size} items into one batch`]),
    ...(slots.length === 0 ? [] : [`Takes ${slots.map(([kind, units]) => `${units} ${kind}`).join(", ")}`]),
    ...task.concurrency.map(
      (rule) => `${rule.max_runs_expression === "" ? rule.max_runs : rule.max_runs_expression} at a time for each ${rule.expression} (${inWords(rule.strategy)})`,
    ),
    ...task.rate_limits.map(
      (use) => `Takes ${use.units_expression === "" ? use.units : use.units_expression} of the rate limit ${use.key === "" ? use.key_expression : use.key}`,
    ),
    ...task.conditions.map((condition) => `${capital(ACTIONS[condition.action])} ${whatOf(condition)}`),
  ];
}

function whatOf({ parent, sleep, event_key, expression }: TaskCondition): string {
  const what = sleep !== "" ? `a sleep of ${sleep}` : event_key !== "" ? `the event ${event_key}` : `what ${parent} came to`;
  return expression === "" || expression === "true" ? what : `${what}, if ${expression}`;
}

function inWords(name: string): string {
  return name.toLowerCase().replaceAll("_", " ");
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
