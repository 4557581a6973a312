/** How busy a tenant and its workers were, over time. The window ends now. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { instantMs, orNull } from "./schemas";

const loadSchema = z.object({
  widthS: z.int(),
  results: z.array(
    z.object({
      time: instantMs,
      succeeded: z.int(),
      failed: z.int(),
      cancelled: z.int(),
      waitedMsP50: orNull(z.int()),
      waitedMsP95: orNull(z.int()),
      ranMsP50: orNull(z.int()),
      ranMsP95: orNull(z.int()),
      waiting: z.number(),
      running: z.number(),
    }),
  ),
});
export type Load = z.output<typeof loadSchema>;

const workerLoadSchema = z.object({
  widthS: z.int(),
  results: z.array(z.object({ time: instantMs, succeeded: z.int(), failed: z.int(), running: z.int() })),
});

const agoOf = (windowMs: number) => new Date(Date.now() - windowMs).toISOString();

export function loadQuery(tenantId: string, windowMs: number) {
  return queryOptions({
    queryKey: ["load", tenantId, windowMs],
    queryFn: ({ signal }) =>
      request(loadSchema, `/api/v1/stable/tenants/${tenantId}/load`, { signal, query: { since: agoOf(windowMs) } }),
    placeholderData: keepPreviousData,
  });
}

export function workerLoadQuery(tenantId: string, workerId: string, windowMs: number) {
  return queryOptions({
    queryKey: ["load", tenantId, "worker", workerId, windowMs],
    queryFn: ({ signal }) =>
      request(workerLoadSchema, `/api/v1/stable/workers/${workerId}/load`, { signal, query: { since: agoOf(windowMs) } }),
    placeholderData: keepPreviousData,
  });
}
