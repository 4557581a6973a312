/** What is asked of one run beside its tasks: how it came to be, its children, its durable logs, and acts on its tasks. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { actionResultSchema, instantMs, orNull, payload, rowsOf, taskSummarySchema, type TaskSummary } from "./schemas";

const originSchema = z.object({
  kind: z.string(),
  eventId: orNull(z.string()),
  eventKey: orNull(z.string()),
  webhookName: orNull(z.string()),
  cronName: orNull(z.string()),
  cronExpression: orNull(z.string()),
  cronScheduledAt: orNull(z.string()),
  scheduleId: orNull(z.string()),
  parentRunId: orNull(z.string()),
  parentTaskId: orNull(z.string()),
  parentName: orNull(z.string()),
  parentTaskName: orNull(z.string()),
  parentWorkflowName: orNull(z.string()),
  childIndex: orNull(z.int()),
  childKey: orNull(z.string()),
});
export type RunOrigin = z.output<typeof originSchema>;

const factsSchema = z.object({
  priority: z.int(),
  idempotencyKey: orNull(z.string()),
  version: orNull(z.string()),
  versionOrder: z.int(),
  isLatestVersion: z.boolean(),
  origin: originSchema,
  concurrency: z.array(
    z.object({
      task: orNull(z.string()),
      key: z.string(),
      maxRuns: z.int(),
      expression: orNull(z.string()),
      strategy: orNull(z.string()),
    }),
  ),
  rateLimits: z.array(z.object({ task: z.string(), key: z.string(), units: z.int() })),
  desiredWorkerId: orNull(z.string()),
  desiredLabels: orNull(z.array(payload)),
  workers: z.array(z.object({ id: z.string(), name: z.string() })),
});
export type RunFacts = z.output<typeof factsSchema>;

export function factsQuery(tenantId: string, runId: string) {
  return queryOptions({
    queryKey: ["runs", "facts", tenantId, runId],
    queryFn: ({ signal }) => request(factsSchema, `/api/v1/stable/workflow-runs/${runId}/facts`, { signal }),
    meta: { about: () => [runId] },
  });
}

const valuesSchema = z.object({
  rows: z.array(z.object({ name: z.string(), value: z.unknown().optional(), isShown: z.boolean() })),
});

/** What the run says of itself; the first hundred names. */
export function valuesQuery(tenantId: string, runId: string) {
  return queryOptions({
    queryKey: ["runs", "values", tenantId, runId],
    queryFn: ({ signal }) => request(valuesSchema, `/api/v1/stable/workflow-runs/${runId}/values`, { signal }),
    meta: { about: () => [runId] },
  });
}

/** Runs that a task started, the newest first. */
export function childrenQuery(tenantId: string, task: TaskSummary, withPayloads = false) {
  return pagedQuery(["runs", "children", tenantId], `/api/v1/stable/tenants/${tenantId}/workflow-runs`, taskSummarySchema, {
    parent_task_external_id: task.taskExternalId,
    // Clocks of workers are not ours: a child may seem older than its parent by a little.
    since: new Date(task.createdAt - 60_000).toISOString(),
    only_tasks: false,
    include_payloads: withPayloads,
    include_num_pages: false,
  });
}

// Durable tasks ------------------------------------------------------------------------------------------------------

const conditionSchema = z.object({
  kind: z.enum(["SLEEP", "USER_EVENT", "CHILD_WORKFLOW"]).nullish().transform((value) => value ?? null),
  sleepDurationMs: orNull(z.int()),
  eventKey: orNull(z.string()),
  workflowName: orNull(z.string()),
});
export type DurableCondition = z.output<typeof conditionSchema>;

const entrySchema = z.object({
  nodeId: z.int(),
  branchId: z.int(),
  kind: z.enum(["RUN", "WAIT_FOR", "MEMO"]),
  isSatisfied: z.boolean(),
  insertedAt: instantMs,
  satisfiedAt: orNull(instantMs),
  userMessage: orNull(z.string()),
  waitData: rowsOf(conditionSchema.extend({ or: rowsOf(conditionSchema) })),
});
export type DurableEntry = z.output<typeof entrySchema>;

export const DURABLE_ENTRIES_MAX = 1_000;

export function durableLogQuery(tenantId: string, taskId: string) {
  return queryOptions({
    queryKey: ["runs", "durable-log", tenantId, taskId],
    queryFn: ({ signal }) =>
      request(z.array(entrySchema), `/api/v1/stable/tenants/${tenantId}/durable-tasks/${taskId}`, {
        signal,
        query: { limit: DURABLE_ENTRIES_MAX },
      }),
    meta: { about: () => [taskId] },
  });
}

export async function branchTask(tenantId: string, taskId: string, entry: { nodeId: number; branchId: number }): Promise<void> {
  const body = { taskExternalId: taskId, nodeId: entry.nodeId, branchId: entry.branchId };
  await request(z.unknown(), `/api/v1/stable/tenants/${tenantId}/durable-tasks/branch`, { method: "POST", body });
}

export async function restoreTask(taskId: string): Promise<void> {
  await request(z.unknown(), `/api/v1/stable/tasks/${taskId}/restore`, { method: "POST" });
}

/** Starts tasks anew; answers how many, with all that come after them. */
export async function replayTasks(tenantId: string, ids: readonly string[]): Promise<number> {
  const path = `/api/v1/stable/tenants/${tenantId}/tasks/replay`;
  const replayed = (await request(actionResultSchema, path, { method: "POST", body: { externalIds: ids } })).ids;
  if (replayed.length === 0) throw new Error("Nothing was replayed: some of these tasks, or what comes after them, is still active.");
  return replayed.length;
}

// Chunks -------------------------------------------------------------------------------------------------------------

const chunkSchema = z.object({ taskExternalId: z.string(), text: z.string() });

/** Tells every chunk that tasks of the run stream from now on; answers how to stop. */
export function followChunks(
  runId: string,
  on: { readonly chunk: (taskId: string, text: string) => void; readonly end: () => void; readonly trouble: () => void },
): () => void {
  const source = new EventSource(`/api/v1/stable/workflow-runs/${runId}/chunks`);
  source.addEventListener("chunk", (event) => {
    const chunk = chunkSchema.safeParse(JSON.parse(String(event.data)));
    if (chunk.success) on.chunk(chunk.data.taskExternalId, chunk.data.text);
  });
  source.addEventListener("end", () => {
    // A browser would open it again for ever.
    source.close();
    on.end();
  });
  source.onerror = on.trouble;
  return () => source.close();
}

/** Where the file of the run is. */
export function runFilePath(runId: string): string {
  return `/api/v1/stable/workflow-runs/${runId}/file`;
}
