/** OpenTelemetry spans of a run: the engine's own, those of the runs it spawned, and what programs sent. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { instantMs, orNull } from "./schemas";

const spanSchema = z.object({
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

/** At most as many as one answer has; a trace beyond that is cut. */
const SPANS_MAX = 10_000;

export function spansQuery(tenantId: string, runId: string) {
  return queryOptions({
    queryKey: ["traces", tenantId, runId, "spans"],
    queryFn: async ({ signal }): Promise<readonly Span[]> => {
      const path = `/api/v1/stable/tenants/${tenantId}/traces`;
      const answer = await request(z.object({ rows: z.array(spanSchema) }), path, {
        signal,
        query: { run_external_id: runId, limit: SPANS_MAX },
      });
      return answer.rows;
    },
  });
}
