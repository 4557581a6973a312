/** What live memory knows: why tasks do not run, what is to come, who holds a key and who waits for it. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, rowsOf } from "./schemas";

// Why a task does not run ----------------------------------------------------------------------------------------------

const holderSchema = z.object({
  runId: z.string(),
  runName: z.string(),
  taskId: orNull(z.string()),
  taskName: orNull(z.string()),
  since: instantMs,
  isRunning: z.boolean(),
});
export type KeyHolder = z.output<typeof holderSchema>;

const conditionSchema = z.object({
  isMet: z.boolean(),
  until: orNull(instantMs),
  eventKey: orNull(z.string()),
  scope: orNull(z.string()),
  expression: orNull(z.string()),
  /** JSON of a payload that should make the expression true. */
  payload: orNull(z.string()),
});
export type WaitCondition = z.output<typeof conditionSchema>;

/** `reason` is open: one that this dashboard does not know is still said in its own words. */
const reasonSchema = z.object({
  runId: z.string(),
  taskId: orNull(z.string()),
  taskName: orNull(z.string()),
  reason: z.string(),
  message: z.string(),
  since: orNull(instantMs),
  until: orNull(instantMs),
  expiresAt: orNull(instantMs),
  key: orNull(z.string()),
  workflowId: orNull(z.string()),
  workflowName: orNull(z.string()),
  workers: rowsOf(z.object({ id: z.string(), name: orNull(z.string()) })),
  holders: rowsOf(holderSchema),
  parents: rowsOf(z.object({ name: z.string(), taskId: orNull(z.string()) })),
  children: rowsOf(z.object({ runId: z.string(), workflowName: z.string() })),
  /** `action` is what becomes of a task of a DAG then: QUEUE, SKIP or CANCEL. */
  waits: rowsOf(z.object({ action: orNull(z.string()), conditions: rowsOf(conditionSchema) })),
});
export type WaitReason = z.output<typeof reasonSchema>;

const reasonsSchema = z.object({ rows: rowsOf(reasonSchema) });

/** Null for a task that waits for nothing. */
export function taskWaitingQuery(tenantId: string, taskId: string) {
  return queryOptions({
    queryKey: ["waiting", tenantId, "task", taskId],
    queryFn: async ({ signal }): Promise<WaitReason | null> =>
      (await request(reasonsSchema, `/api/v1/stable/tasks/${taskId}/waiting`, { signal })).rows[0] ?? null,
  });
}

/** As many ids as one question may have. */
const ASKED_MAX = 100;

/** Why each of the runs does not go on, in a sentence, by their ids; of those beyond the first hundred it is not asked. */
export function waitSentencesQuery(tenantId: string, runIds: readonly string[]) {
  const ids = runIds.slice(0, ASKED_MAX);
  return queryOptions({
    queryKey: ["waiting", tenantId, "runs", ids],
    queryFn: async ({ signal }): Promise<ReadonlyMap<string, readonly string[]>> => {
      const { rows } = await request(reasonsSchema, `/api/v1/stable/tenants/${tenantId}/waiting`, { signal, query: { ids } });
      const sentences = new Map<string, string[]>();
      for (const { runId, message } of rows) sentences.set(runId, [...(sentences.get(runId) ?? []), message]);
      return sentences;
    },
    enabled: ids.length > 0,
    placeholderData: keepPreviousData,
  });
}

// Time to come ---------------------------------------------------------------------------------------------------------

export const COMING_KINDS = [
  "CRON",
  "SCHEDULE",
  "SLEEP",
  "RETRY",
  "SCHEDULE_TIMEOUT",
  "EXECUTION_TIMEOUT",
  "DEBOUNCE",
  "BATCH",
  "RATE_LIMIT",
] as const;
export type ComingKind = (typeof COMING_KINDS)[number];

const comingSchema = z.object({
  at: instantMs,
  kind: z.enum(COMING_KINDS),
  runId: orNull(z.string()),
  runName: orNull(z.string()),
  taskId: orNull(z.string()),
  taskName: orNull(z.string()),
  workflowId: orNull(z.string()),
  workflowName: orNull(z.string()),
  cronId: orNull(z.string()),
  scheduleId: orNull(z.string()),
  key: orNull(z.string()),
  count: z.int(),
});
export type ComingInstant = z.output<typeof comingSchema>;

export function upcomingQuery(tenantId: string, kinds: readonly ComingKind[]) {
  return pagedQuery(["upcoming", tenantId], `/api/v1/stable/tenants/${tenantId}/upcoming`, comingSchema, { kinds });
}

// Who holds what -------------------------------------------------------------------------------------------------------

const keySchema = z.object({
  key: z.string(),
  expression: z.string(),
  strategy: z.string(),
  maxRuns: z.int(),
  isTenantScoped: z.boolean(),
  ruleName: orNull(z.string()),
  workflowId: z.string(),
  workflowName: z.string(),
  taskName: orNull(z.string()),
  held: z.int(),
  waiting: z.int(),
  holders: rowsOf(holderSchema),
  waiters: rowsOf(holderSchema),
});
export type ConcurrencyKey = z.output<typeof keySchema>;

export function concurrencyKeysQuery(tenantId: string, search: string, workflowId: string | null) {
  return pagedQuery(["concurrency-keys", tenantId], `/api/v1/stable/tenants/${tenantId}/concurrency-keys`, keySchema, {
    search: search === "" ? null : search,
    workflowId,
  });
}

const queueSchema = z.object({
  actionId: z.string(),
  waiting: z.int(),
  oldest: orNull(instantMs),
  workers: z.int(),
  workersReady: z.int(),
});
export type TaskQueue = z.output<typeof queueSchema>;

/** All of them are one page. */
export function queuesQuery(tenantId: string) {
  return pagedQuery(["queues", tenantId], `/api/v1/stable/tenants/${tenantId}/queues`, queueSchema);
}
