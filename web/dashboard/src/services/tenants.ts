/** The tenant itself, and what it may have. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { instantMs, orNull, resourceMeta, rowsOf } from "./schemas";

const tenantSchema = z.object({ metadata: resourceMeta, name: z.string(), slug: z.string() });

export async function renameTenant(tenantId: string, name: string): Promise<void> {
  await request(tenantSchema, `/api/v1/tenants/${tenantId}`, { method: "PATCH", body: { name } });
}

/** Deletes a tenant with everything in it; `slug` is what somebody typed to confirm it. */
export async function deleteTenant(tenantId: string, slug: string): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}?confirm=${encodeURIComponent(slug)}`, { method: "DELETE" });
}

/** The address of a tenant as one file. */
export function tenantFile(tenantId: string): string {
  return `/api/v1/stable/tenants/${tenantId}/file`;
}

/** Answers the new tenant's id; whoever makes it owns it. */
export async function createTenant(name: string, slug: string): Promise<string> {
  return (await request(tenantSchema, "/api/v1/tenants", { method: "POST", body: { name, slug } })).metadata.id;
}

/** A slug made from a name, as the command line makes it: `Acme Billing (EU)` becomes `acme-billing-eu`. */
export function slugOf(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9._]+/g, "-")
    .replaceAll(/^[-.]+|[-.]+$/g, "")
    .slice(0, 255);
}

const limitSchema = z.object({
  resource: z.string(),
  limitValue: orNull(z.int()),
  isDefault: z.boolean(),
  value: z.int(),
  isMore: z.boolean(),
  window: orNull(z.string()),
  lastRefill: orNull(instantMs),
});
export type TenantLimit = z.output<typeof limitSchema>;

const limitsSchema = z.object({ isEnforced: z.boolean(), retentionDays: z.int(), limits: rowsOf(limitSchema) });

export function tenantLimitsQuery(tenantId: string) {
  return queryOptions({
    queryKey: ["tenant-limits", tenantId],
    queryFn: ({ signal }) => request(limitsSchema, `/api/v1/stable/tenants/${tenantId}/limits`, { signal }),
  });
}
