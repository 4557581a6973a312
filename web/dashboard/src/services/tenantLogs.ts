/** Log lines of all tasks of the tenant. */
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, rowsOf } from "./schemas";

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

/** The newest first. */
export function tenantLogsQuery(tenantId: string, { search, levels }: LogFilter) {
  return pagedQuery(["tenant-logs", tenantId], `/api/v1/stable/tenants/${tenantId}/logs`, lineSchema, {
    order_by_direction: "DESC",
    search: search === "" ? null : search,
    levels,
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
