/** Log lines of all tasks of the tenant: the lines themselves, and how many over time. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { isNotFound, request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, rowsOf, runDetailsSchema } from "./schemas";

export const LOG_LEVELS = ["DEBUG", "INFO", "WARN", "ERROR"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const lineSchema = z.object({
  createdAt: instantMs,
  message: z.string(),
  taskExternalId: z.string(),
  taskDisplayName: z.string(),
  attempt: z.int(),
  level: z.enum(LOG_LEVELS).nullish().transform((value) => value ?? "INFO"),
});
export type TenantLogLine = z.output<typeof lineSchema>;

export interface LogFilter {
  readonly search: string;
  readonly levels: readonly LogLevel[];
}

/** Of all tasks, in a time. */
export interface TenantLogFilter extends LogFilter {
  readonly workflowId: string | null;
  /** Lines of these tasks only; null: of all. */
  readonly taskIds: readonly string[] | null;
  readonly since: string;
  /** Null: up to now. */
  readonly until: string | null;
}

function queryOf({ search, levels, workflowId, taskIds, since, until }: TenantLogFilter) {
  return {
    search: search === "" ? null : search,
    levels,
    workflow_ids: workflowId === null ? [] : [workflowId],
    taskExternalIds: taskIds,
    since,
    until,
  };
}

/** The newest first. With `follows` new lines come by themselves, as long as nobody has asked for older ones. */
export function tenantLogsQuery(tenantId: string, filter: TenantLogFilter, follows: boolean) {
  return {
    ...pagedQuery(["tenant-logs", tenantId], `/api/v1/stable/tenants/${tenantId}/logs`, lineSchema, {
      order_by_direction: "DESC",
      ...queryOf(filter),
    }),
    meta: { isConstant: !follows },
  };
}

const pointsSchema = z.object({
  countedSince: orNull(instantMs),
  results: z.array(z.object({ time: instantMs, DEBUG: z.int(), INFO: z.int(), WARN: z.int(), ERROR: z.int() })),
});

/** How many lines of each level over time. */
export function logPointsQuery(tenantId: string, filter: TenantLogFilter) {
  return queryOptions({
    queryKey: ["log-points", tenantId, filter],
    queryFn: ({ signal }) =>
      request(pointsSchema, `/api/v1/stable/tenants/${tenantId}/log-point-metrics`, { signal, query: queryOf(filter) }),
    placeholderData: keepPreviousData,
  });
}

const LOGGING_TASKS_MAX = 200;

/** The tasks whose lines are meant by the id of a run or of a task. */
export function tasksOfIdQuery(id: string) {
  return queryOptions({
    queryKey: ["runs", "tasks-of", id],
    queryFn: async ({ signal }): Promise<readonly string[]> => {
      try {
        const found = await request(runDetailsSchema, `/api/v1/stable/workflow-runs/${id}`, { signal });
        return found.tasks.slice(0, LOGGING_TASKS_MAX).map((task) => task.taskExternalId);
      } catch (error) {
        if (isNotFound(error)) return [id];
        throw error;
      }
    },
  });
}

/** How many tasks the engine takes in one question for lines. */
export const TASKS_OF_LOGS_MAX = 1_000;

/** Lines of some tasks, the newest first. */
export function taskLogsQuery(tenantId: string, taskIds: readonly string[], { search, levels }: LogFilter) {
  const lines = pagedQuery(["logs", tenantId], `/api/v1/stable/tenants/${tenantId}/logs`, lineSchema, {
    limit: LINES_PER_PAGE,
    taskExternalIds: taskIds.slice(0, TASKS_OF_LOGS_MAX),
    order_by_direction: "DESC",
    search: search === "" ? null : search,
    levels,
  });
  return { ...lines, meta: { about: () => taskIds } };
}

const LINES_PER_PAGE = 500;
/** A file of more lines than this is cut, at its beginning. */
export const LINES_SAVED_MAX = 100_000;

/** All lines of some tasks that pass, oldest first, for a file. */
export async function allTaskLogs(
  tenantId: string,
  taskIds: readonly string[],
  { search, levels }: LogFilter,
): Promise<{ readonly lines: readonly TenantLogLine[]; readonly isCut: boolean }> {
  const pageSchema = z.object({
    rows: rowsOf(lineSchema),
    pagination: orNull(z.object({ next_cursor: orNull(z.string()) })),
  });
  const newestFirst: TenantLogLine[] = [];
  let cursor: string | null = null;
  do {
    const page: z.output<typeof pageSchema> = await request(pageSchema, `/api/v1/stable/tenants/${tenantId}/logs`, {
      query: {
        limit: 10_000,
        taskExternalIds: taskIds.slice(0, TASKS_OF_LOGS_MAX),
        order_by_direction: "DESC",
        search: search === "" ? null : search,
        levels,
        cursor,
      },
    });
    newestFirst.push(...page.rows);
    cursor = page.pagination?.next_cursor ?? null;
  } while (cursor !== null && newestFirst.length < LINES_SAVED_MAX);
  return { lines: newestFirst.toReversed(), isCut: cursor !== null };
}
