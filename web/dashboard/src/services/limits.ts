/** Rate limits, and what a tenant may have. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, rowsOf } from "./schemas";

const rateLimitSchema = z.object({
  key: z.string(),
  limitValue: z.int(),
  value: z.int(),
  window: z.string(),
  lastRefill: instantMs,
  pausedUntil: orNull(instantMs),
});
export type RateLimit = z.output<typeof rateLimitSchema>;

export function rateLimitsQuery(tenantId: string, search: string) {
  return pagedQuery(["rate-limits", tenantId], `/api/v1/tenants/${tenantId}/rate-limits`, rateLimitSchema, {
    search: search === "" ? null : search,
  });
}

export async function deleteRateLimit(tenantId: string, key: string): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}/rate-limits`, { method: "DELETE", query: { key } });
}

const policySchema = z.object({
  limits: rowsOf(
    z.object({ resource: z.string(), limitValue: z.int(), value: z.int(), window: orNull(z.string()) }),
  ),
});
export type ResourceLimit = z.output<typeof policySchema>["limits"][number];

export function resourcePolicyQuery(tenantId: string) {
  return queryOptions({
    queryKey: ["resource-policy", tenantId],
    queryFn: async ({ signal }) =>
      (await request(policySchema, `/api/v1/tenants/${tenantId}/resource-policy`, { signal })).limits,
  });
}
