/** Workers: the list people see and the pause switch. */
import { queryOptions, type QueryClient } from "@tanstack/react-query";

import { request } from "./http";
import { workerListSchema, workerUpdateSchema, type Worker } from "./schemas";

const WORKERS_MAX = 1_000;

export function workersQuery(tenantId: string) {
  return queryOptions({
    queryKey: ["workers", tenantId],
    queryFn: async ({ signal }): Promise<readonly Worker[]> =>
      (await request(workerListSchema, `/api/v1/tenants/${tenantId}/worker`, { signal, query: { limit: WORKERS_MAX } }))
        .rows,
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
  client.setQueriesData<Worker | readonly Worker[]>({ queryKey: ["workers"] }, (cached) => {
    if (cached === undefined) return undefined;
    if ("metadata" in cached) return update(cached);
    return Array.isArray(cached) ? cached.map(update) : cached;
  });
}
