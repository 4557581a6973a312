/**
 * Runs, their tasks, events and logs.
 *
 * Query factories own the cache keys, and say which runs and tasks an answer is about: the stream of changes
 * (`live/`) has it asked for again when one of them changes.
 */
import { queryOptions } from "@tanstack/react-query";

import { isNotFound, request } from "./http";
import {
  actionResultSchema,
  runDetailsSchema,
  taskSummarySchema,
  type RunDetails,
  type RunStatus,
  type TaskSummary,
} from "./schemas";

const TERMINAL: ReadonlySet<RunStatus> = new Set<RunStatus>(["COMPLETED", "FAILED", "CANCELLED"]);

export function isTerminal(status: RunStatus): boolean {
  return TERMINAL.has(status);
}

/** Where a link with some id leads: a run, a task inside a run, or nowhere. */
export type RunLookup =
  | { readonly kind: "run"; readonly details: RunDetails }
  | { readonly kind: "task-of"; readonly runId: string; readonly taskId: string }
  | { readonly kind: "missing" };

export function runQuery(id: string) {
  return queryOptions({
    queryKey: ["runs", "one", id],
    queryFn: ({ signal }) => lookUpRun(id, signal),
    meta: {
      about: (data) => [id, ...tasksIn(data as RunLookup)],
      isFinal: (data) => isOver(data as RunLookup),
    },
  });
}

function tasksIn(found: RunLookup): readonly string[] {
  return found.kind === "run" ? found.details.tasks.map((task) => task.taskExternalId) : [];
}

function isOver(found: RunLookup): boolean {
  return found.kind === "run" && isTerminal(found.details.run.status);
}

async function lookUpRun(id: string, signal: AbortSignal): Promise<RunLookup> {
  try {
    const path = `/api/v1/stable/workflow-runs/${encodeURIComponent(id)}`;
    return { kind: "run", details: await request(runDetailsSchema, path, { signal }) };
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  try {
    const task = await fetchTask(id, null, signal);
    if (task.workflowRunExternalId === id) return { kind: "missing" };
    return { kind: "task-of", runId: task.workflowRunExternalId, taskId: id };
  } catch (error) {
    if (isNotFound(error)) return { kind: "missing" };
    throw error;
  }
}

/** One attempt of a task as it was, for looking back after a retry or a replay. */
export function taskAttemptQuery(taskId: string, attempt: number) {
  return queryOptions({
    queryKey: ["tasks", "attempt", taskId, attempt],
    queryFn: ({ signal }) => fetchTask(taskId, attempt, signal),
    meta: { about: () => [taskId] },
  });
}

async function fetchTask(id: string, attempt: number | null, signal: AbortSignal): Promise<TaskSummary> {
  const path = `/api/v1/stable/tasks/${encodeURIComponent(id)}`;
  return request(taskSummarySchema, path, { signal, query: { attempt } });
}

export async function cancelRuns(tenantId: string, ids: readonly string[]): Promise<readonly string[]> {
  return act(tenantId, "cancel", ids);
}

export async function replayRuns(tenantId: string, ids: readonly string[]): Promise<readonly string[]> {
  return act(tenantId, "replay", ids);
}

async function act(tenantId: string, verb: RunAct, ids: readonly string[]): Promise<readonly string[]> {
  const path = `/api/v1/stable/tenants/${tenantId}/tasks/${verb}`;
  return (await request(actionResultSchema, path, { method: "POST", body: { externalIds: ids } })).ids;
}

export type RunAct = "cancel" | "replay";
