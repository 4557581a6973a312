/** Rate limits. What a tenant may have is in `tenants.ts`. */
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull } from "./schemas";

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

/** `window` is a duration such as `1m`. */
export async function putRateLimit(tenantId: string, body: { key: string; limit: number; window: string }): Promise<void> {
  await request(z.unknown(), `/api/v1/stable/tenants/${tenantId}/rate-limits`, { method: "PUT", body });
}

export async function deleteRateLimit(tenantId: string, key: string): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}/rate-limits`, { method: "DELETE", query: { key } });
}
