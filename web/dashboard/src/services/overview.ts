/** What the first page shows: whether anything ever ran, and the latest runs of one status. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { request } from "./http";
import { runListSchema, type RunStatus, type TaskSummary } from "./schemas";

/** Older than any run. */
const EVER = "1970-01-01T00:00:00Z";

async function latestRuns(
  tenantId: string,
  query: { readonly since: string; readonly statuses?: readonly RunStatus[]; readonly limit: number },
  signal: AbortSignal,
): Promise<readonly TaskSummary[]> {
  const path = `/api/v1/stable/tenants/${tenantId}/workflow-runs`;
  return (await request(runListSchema, path, { signal, query: { only_tasks: false, include_payloads: false, ...query } })).rows;
}

/** The newest run there ever was, or none. */
export function newestRunQuery(tenantId: string) {
  return queryOptions({
    queryKey: ["runs", "newest", tenantId],
    queryFn: async ({ signal }): Promise<TaskSummary | null> =>
      (await latestRuns(tenantId, { since: EVER, limit: 1 }, signal))[0] ?? null,
  });
}

/** The newest runs of a status that were made within the last `windowMs`. */
export function recentRunsQuery(tenantId: string, status: RunStatus, windowMs: number, limit: number) {
  return queryOptions({
    queryKey: ["runs", "recent", tenantId, status, windowMs, limit],
    queryFn: ({ signal }) =>
      latestRuns(
        tenantId,
        { since: new Date(Date.now() - windowMs).toISOString(), statuses: [status], limit },
        signal,
      ),
    placeholderData: keepPreviousData,
  });
}
