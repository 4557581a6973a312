/** Log lines of all tasks of the tenant. */
import { z } from "zod";

import { pagedQuery } from "./pages";
import { instantMs } from "./schemas";

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
