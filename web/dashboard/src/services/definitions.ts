/** What a version of a workflow says of its tasks, and how its last runs went. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { orNull, rowsOf, runListSchema } from "./schemas";

const texts = rowsOf(z.string());

const ruleSchema = z.object({
  expression: z.string(),
  max_runs: z.int(),
  strategy: z.string(),
  max_runs_expression: z.string().default(""),
});

const conditionSchema = z.object({
  action: z.enum(["QUEUE", "SKIP", "CANCEL"]),
  parent: z.string().default(""),
  sleep: z.string().default(""),
  event_key: z.string().default(""),
  expression: z.string().default(""),
});
export type TaskCondition = z.output<typeof conditionSchema>;

const taskSchema = z.object({
  id: z.string(),
  name: z.string(),
  action_id: z.string(),
  parents: texts,
  execution_timeout_us: z.int(),
  schedule_timeout_us: z.int(),
  retries: z.int(),
  backoff_factor: orNull(z.number()),
  backoff_max_s: orNull(z.int()),
  slots: z.record(z.string(), z.int()).default({}),
  concurrency: rowsOf(ruleSchema),
  rate_limits: rowsOf(
    z.object({ key: z.string().default(""), key_expression: z.string().default(""), units: z.int(), units_expression: z.string().default("") }),
  ),
  batch: orNull(z.object({ max_size: z.int() })),
  is_durable: z.boolean().default(false),
  conditions: rowsOf(conditionSchema),
});
export type TaskDefinition = z.output<typeof taskSchema>;

const definitionSchema = z.object({ tasks: rowsOf(taskSchema), on_failure: orNull(taskSchema) });

/** The tasks of a version in order, the one for failures last; none for a version that tells nothing of them. */
export function tasksOf(workflowConfig: unknown): readonly TaskDefinition[] {
  const read = definitionSchema.safeParse(workflowConfig);
  if (!read.success) return [];
  return read.data.on_failure === null ? read.data.tasks : [...read.data.tasks, read.data.on_failure];
}

export const HISTORY_RUNS_MAX = 200;
const HISTORY_MS = 30 * 24 * 3_600_000;

/** The newest runs of a workflow, as many as a picture of them needs. */
export function workflowHistoryQuery(tenantId: string, workflowId: string) {
  return queryOptions({
    queryKey: ["runs", "history", tenantId, workflowId],
    queryFn: async ({ signal }) =>
      (
        await request(runListSchema, `/api/v1/stable/tenants/${tenantId}/workflow-runs`, {
          signal,
          query: {
            since: new Date(Date.now() - HISTORY_MS).toISOString(),
            workflow_ids: [workflowId],
            only_tasks: false,
            include_payloads: false,
            limit: HISTORY_RUNS_MAX,
          },
        })
      ).rows,
  });
}
