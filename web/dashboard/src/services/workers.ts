/** Workers: the list people see and the pause switch. */
import { queryOptions } from "@tanstack/react-query";

import { request } from "./http";
import { workerListSchema, workerUpdateSchema, type Worker } from "./schemas";

const WORKERS_MAX = 1_000;
const POLL_MS = 2_000;

export function workersQuery(tenantId: string) {
  return queryOptions({
    queryKey: ["workers", tenantId],
    queryFn: async ({ signal }): Promise<readonly Worker[]> =>
      (await request(workerListSchema, `/api/v1/tenants/${tenantId}/worker`, { signal, query: { limit: WORKERS_MAX } }))
        .rows,
    refetchInterval: POLL_MS,
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
    refetchInterval: POLL_MS,
  });
}
