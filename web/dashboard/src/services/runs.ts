/**
 * Runs, their tasks, events and logs.
 *
 * Query factories own the cache keys, and say which runs and tasks an answer is about: the stream of changes
 * (`live/`) has it asked for again when one of them changes.
 */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { isNotFound, request } from "./http";
import {
  actionResultSchema,
  logListSchema,
  runDetailsSchema,
  runListSchema,
  runMetricsSchema,
  RUN_STATUSES,
  taskSummarySchema,
  type LogLine,
  type RunDetails,
  type RunStatus,
  type TaskSummary,
} from "./schemas";

export const RUNS_PER_PAGE = 50;
export const LOG_LINES_MAX = 500;

/** The id the engine gives to a step whose task does not exist yet. */
const NIL_UUID = "00000000-0000-0000-0000-000000000000";

const TERMINAL: ReadonlySet<RunStatus> = new Set<RunStatus>(["COMPLETED", "FAILED", "CANCELLED"]);

export function isTerminal(status: RunStatus): boolean {
  return TERMINAL.has(status);
}

export interface RunFilter {
  readonly windowMs: number;
  readonly statuses: readonly RunStatus[];
  readonly workflowId: string | null;
  /** `key:value`. One at a time: of several, an act on everything that matches would mean any of them. */
  readonly metadata: string | null;
}

export interface RunPage {
  readonly rows: readonly TaskSummary[];
  readonly pageCount: number;
}

export type StatusCounts = Readonly<Record<RunStatus, number>>;

export function runsQuery(tenantId: string, filter: RunFilter, page: number) {
  return queryOptions({
    queryKey: ["runs", "list", tenantId, filter, page],
    queryFn: async ({ signal }): Promise<RunPage> => {
      const answer = await request(runListSchema, `/api/v1/stable/tenants/${tenantId}/workflow-runs`, {
        signal,
        query: {
          since: new Date(Date.now() - filter.windowMs).toISOString(),
          only_tasks: false,
          include_payloads: false,
          offset: (page - 1) * RUNS_PER_PAGE,
          limit: RUNS_PER_PAGE,
          statuses: filter.statuses,
          workflow_ids: filter.workflowId === null ? [] : [filter.workflowId],
          additional_metadata: filter.metadata,
        },
      });
      return { rows: answer.rows, pageCount: Math.max(1, answer.pagination.num_pages ?? 1) };
    },
    placeholderData: keepPreviousData,
  });
}

export function statusCountsQuery(tenantId: string, filter: Omit<RunFilter, "statuses">) {
  return queryOptions({
    queryKey: ["runs", "counts", tenantId, filter.windowMs, filter.workflowId, filter.metadata],
    queryFn: async ({ signal }): Promise<StatusCounts> => {
      const answer = await request(runMetricsSchema, `/api/v1/stable/tenants/${tenantId}/task-metrics`, {
        signal,
        query: {
          since: new Date(Date.now() - filter.windowMs).toISOString(),
          workflow_ids: filter.workflowId === null ? [] : [filter.workflowId],
          additional_metadata: filter.metadata,
        },
      });
      const counts: Record<RunStatus, number> = { QUEUED: 0, RUNNING: 0, COMPLETED: 0, FAILED: 0, CANCELLED: 0 };
      for (const status of RUN_STATUSES) {
        counts[status] = answer.find((metric) => metric.status === status)?.count ?? 0;
      }
      return counts;
    },
    placeholderData: keepPreviousData,
  });
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

/** The latest lines of a task, oldest first; `truncated` says that older ones exist. */
export function logsQuery(taskId: string) {
  return queryOptions({
    queryKey: ["tasks", "logs", taskId],
    queryFn: async ({ signal }): Promise<{ lines: readonly LogLine[]; truncated: boolean }> => {
      const answer = await request(logListSchema, `/api/v1/stable/tasks/${taskId}/logs`, {
        signal,
        query: { limit: LOG_LINES_MAX, order_by_direction: "DESC" },
      });
      return { lines: answer.rows.toReversed(), truncated: answer.rows.length >= LOG_LINES_MAX };
    },
    meta: { about: () => [taskId] },
  });
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

/** Cancels or replays everything that matches; answers the tasks that were touched. */
export async function actOnMatches(tenantId: string, verb: RunAct, filter: RunFilter): Promise<readonly string[]> {
  const path = `/api/v1/stable/tenants/${tenantId}/tasks/${verb}`;
  const body = {
    filter: {
      since: new Date(Date.now() - filter.windowMs).toISOString(),
      ...(filter.statuses.length > 0 && { statuses: filter.statuses }),
      ...(filter.workflowId !== null && { workflowIds: [filter.workflowId] }),
      ...(filter.metadata !== null && { additionalMetadata: [filter.metadata] }),
    },
  };
  return (await request(actionResultSchema, path, { method: "POST", body })).ids;
}

/** The task of a step, or null while the engine has not created it. */
export function taskOfStep(details: RunDetails, stepId: string): TaskSummary | null {
  const item = details.shape.find((candidate) => candidate.stepId === stepId);
  if (item === undefined || item.taskExternalId === NIL_UUID) return null;
  return (
    details.tasks.find((task) => task.taskExternalId === item.taskExternalId) ??
    details.tasks.find((task) => task.stepId === stepId) ??
    null
  );
}
