/** Workers: the list people see and the pause switch. */
import { queryOptions, type InfiniteData, type QueryClient } from "@tanstack/react-query";

import { request } from "./http";
import { pagedQuery, type Page } from "./pages";
import { taskSummarySchema, workerListSchema, workerSchema, workerUpdateSchema, type Worker } from "./schemas";

const WORKERS_MAX = 1_000;

export function workersQuery(tenantId: string) {
  return queryOptions({
    queryKey: ["workers", tenantId],
    queryFn: async ({ signal }): Promise<readonly Worker[]> =>
      (await request(workerListSchema, `/api/v1/tenants/${tenantId}/worker`, { signal, query: { limit: WORKERS_MAX } }))
        .rows,
  });
}

export type WorkerState = Worker["status"];
export const WORKER_STATES: readonly WorkerState[] = ["ACTIVE", "PAUSED", "INACTIVE"];

/** Those seen in the last day, page by page; `label` is `key:value`. */
export function workerPagesQuery(tenantId: string, states: readonly WorkerState[], label: string) {
  return pagedQuery(["workers", tenantId, "pages"], `/api/v1/tenants/${tenantId}/worker`, workerSchema, {
    statuses: states,
    labels: label === "" ? null : label,
  });
}

/** The tasks made since then whose last attempt was the worker's, the newest first. */
export function tasksOfWorkerQuery(tenantId: string, workerId: string, sinceMs: number) {
  return pagedQuery(["runs", "of-worker", tenantId, workerId], `/api/v1/stable/tenants/${tenantId}/workflow-runs`, taskSummarySchema, {
    since: new Date(sinceMs).toISOString(),
    only_tasks: true,
    include_payloads: false,
    worker_id: workerId,
    limit: 20,
  });
}

/** A paused worker is given nothing new; what it is running goes on. */
export async function setWorkerPaused(workerId: string, isPaused: boolean): Promise<void> {
  await request(workerUpdateSchema, `/api/v1/workers/${workerId}`, { method: "PATCH", body: { isPaused } });
}

export function workerQuery(id: string) {
  return queryOptions({
    queryKey: ["workers", "one", id],
    queryFn: ({ signal }) => request(workerUpdateSchema, `/api/v1/workers/${id}`, { signal }),
  });
}

/** Puts into what is cached when workers were last heard of: that they are alive is no reason to ask for them again. */
export function heardOfWorkers(client: QueryClient, heartbeats: Readonly<Record<string, string>>): void {
  if (Object.keys(heartbeats).length === 0) return;
  const update = (worker: Worker): Worker => {
    const at = heartbeats[worker.metadata.id];
    return at === undefined ? worker : { ...worker, lastHeartbeatAt: Date.parse(at) };
  };
  client.setQueriesData<Worker | readonly Worker[] | InfiniteData<Page<Worker>>>({ queryKey: ["workers"] }, (cached) => {
    if (cached === undefined) return undefined;
    if ("metadata" in cached) return update(cached);
    if ("pages" in cached) return { ...cached, pages: cached.pages.map((page) => ({ ...page, rows: page.rows.map(update) })) };
    return cached.map(update);
  });
}
