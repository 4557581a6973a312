/** Rate limits. What a tenant may have is in `tenants.ts`. */
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

const userSchema = z.object({
  workflowId: z.string(),
  workflowName: z.string(),
  taskName: z.string(),
  /** Null where an expression says how many. */
  units: orNull(z.int()),
  /** Of a task that works the key out for each run: whether it ever is this one is not known. */
  keyExpression: orNull(z.string()),
});

/** Tasks that ask for units of a limit; those that name it come first. */
export function rateLimitUsersQuery(tenantId: string, key: string) {
  return queryOptions({
    queryKey: ["workflows", "of-limit", tenantId, key],
    queryFn: async ({ signal }) =>
      (
        await request(z.object({ rows: rowsOf(userSchema) }), `/api/v1/stable/tenants/${tenantId}/rate-limit-users`, {
          signal,
          query: { key },
        })
      ).rows,
  });
}

/** `window` is a duration such as `1m`. */
export async function putRateLimit(tenantId: string, body: { key: string; limit: number; window: string }): Promise<void> {
  await request(z.unknown(), `/api/v1/stable/tenants/${tenantId}/rate-limits`, { method: "PUT", body });
}

export async function deleteRateLimit(tenantId: string, key: string): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}/rate-limits`, { method: "DELETE", query: { key } });
}
