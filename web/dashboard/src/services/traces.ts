/** Traces: those that clients sent spans of, and the spans of one. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, rowsOf } from "./schemas";

const summarySchema = z.object({
  traceId: z.string(),
  name: z.string(),
  serviceNames: z.array(z.string()),
  spans: z.int(),
  errors: z.int(),
  startedAt: instantMs,
  durationMs: z.number(),
  runExternalId: orNull(z.string()),
});

export interface TraceFilter {
  readonly name: string;
  readonly service: string;
  readonly failedOnly: boolean;
  readonly minDurationMs: number | null;
  readonly since: string;
}

/** The latest first. */
export function tracesQuery(tenantId: string, { name, service, failedOnly, minDurationMs, since }: TraceFilter) {
  return pagedQuery(["traces", tenantId], `/api/v1/stable/tenants/${tenantId}/trace-summaries`, summarySchema, {
    name: name === "" ? null : name,
    service: service === "" ? null : service,
    status: failedOnly ? "ERROR" : null,
    minDurationMs,
    since,
  });
}

const spanSchema = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: orNull(z.string()),
  spanName: z.string(),
  serviceName: z.string(),
  statusCode: z.enum(["UNSET", "OK", "ERROR"]),
  statusMessage: orNull(z.string()),
  durationNs: z.number(),
  createdAt: instantMs,
  spanAttributes: z.record(z.string(), z.string()).nullish().transform((value) => value ?? {}),
});
export type Span = z.output<typeof spanSchema>;

/** The spans of a trace, oldest first; the engine's own are among them if it is a run's. */
export function traceQuery(tenantId: string, traceId: string) {
  return queryOptions({
    queryKey: ["traces", tenantId, "one", traceId],
    queryFn: async ({ signal }) =>
      (
        await request(z.object({ rows: rowsOf(spanSchema) }), `/api/v1/stable/tenants/${tenantId}/traces/${encodeURIComponent(traceId)}`, {
          signal,
        })
      ).rows,
  });
}

/** At most as many as one answer has; the spans of a run beyond that are cut. */
const RUN_SPANS_MAX = 10_000;

/** The spans of a run: the engine's own, those of the runs it spawned, and what programs sent. */
export function runSpansQuery(tenantId: string, runId: string) {
  return queryOptions({
    queryKey: ["traces", tenantId, "run", runId],
    queryFn: async ({ signal }) =>
      (
        await request(z.object({ rows: rowsOf(spanSchema) }), `/api/v1/stable/tenants/${tenantId}/traces`, {
          signal,
          query: { run_external_id: runId, limit: RUN_SPANS_MAX },
        })
      ).rows,
  });
}
