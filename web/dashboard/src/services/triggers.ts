/** Where runs come from beside code: started by hand, planned for an instant, or by a cron. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, payload, resourceMeta, rowsOf } from "./schemas";

type Json = Readonly<Record<string, unknown>>;

const cronSchema = z.object({
  metadata: resourceMeta,
  workflowId: z.string(),
  workflowName: z.string(),
  cron: z.string(),
  enabled: z.boolean(),
  method: z.enum(["DEFAULT", "API"]),
  name: orNull(z.string()),
  input: payload,
  additionalMetadata: payload,
  priority: z.int(),
});
export type Cron = z.output<typeof cronSchema>;

const scheduleSchema = z.object({
  metadata: resourceMeta,
  workflowId: z.string(),
  workflowName: z.string(),
  triggerAt: instantMs,
  method: z.enum(["DEFAULT", "API"]),
  input: payload,
  additionalMetadata: payload,
  priority: z.int(),
});
export type Schedule = z.output<typeof scheduleSchema>;

const firedSchema = z.object({ externalId: z.string() });

export interface Start {
  readonly workflowName: string;
  readonly input: Json;
  readonly additionalMetadata: Json;
  readonly priority: number | null;
}

function bodyOf({ input, additionalMetadata, priority }: Start): Json {
  return { input, additionalMetadata, ...(priority === null ? {} : { priority }) };
}

/** Starts a run now; answers its id. */
export async function startRun(tenantId: string, start: Start): Promise<string> {
  const answer = await request(
    z.object({ run: z.object({ metadata: z.object({ id: z.string() }) }) }),
    `/api/v1/stable/tenants/${tenantId}/workflow-runs/trigger`,
    { method: "POST", body: { workflowName: start.workflowName, ...bodyOf(start) } },
  );
  return answer.run.metadata.id;
}

function planPath(tenantId: string, workflowName: string, what: "scheduled" | "crons"): string {
  return `/api/v1/tenants/${tenantId}/workflows/${encodeURIComponent(workflowName)}/${what}`;
}

/** Plans a run for an instant; answers the schedule's id. */
export async function scheduleRun(tenantId: string, start: Start, atMs: number): Promise<string> {
  const answer = await request(scheduleSchema, planPath(tenantId, start.workflowName, "scheduled"), {
    method: "POST",
    body: { ...bodyOf(start), triggerAt: new Date(atMs).toISOString() },
  });
  return answer.metadata.id;
}

/** Makes a cron; answers its id. */
export async function createCron(tenantId: string, start: Start, name: string, expression: string): Promise<string> {
  const answer = await request(cronSchema, planPath(tenantId, start.workflowName, "crons"), {
    method: "POST",
    body: { ...bodyOf(start), cronName: name, cronExpression: expression },
  });
  return answer.metadata.id;
}

// Crons --------------------------------------------------------------------------------------------------------------

export function cronsQuery(tenantId: string, workflowId: string | null) {
  return pagedQuery(["crons", tenantId], `/api/v1/tenants/${tenantId}/workflows/crons`, cronSchema, { workflowId });
}

export interface CronChange {
  readonly cronName: string;
  readonly cronExpression: string;
  readonly input: Json;
  readonly additionalMetadata: Json;
  /** Null: as the workflow says. */
  readonly priority: number | null;
}

export async function changeCron(tenantId: string, cronId: string, body: CronChange): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}/workflows/crons/${cronId}`, { method: "PATCH", body });
}

const ticksSchema = z.object({ expression: z.string(), timeZone: z.string(), ticks: z.array(instantMs) });
export type CronTicks = z.output<typeof ticksSchema>;

/** When expressions come true next, as the engine computes it, in their order; refused when one of them is not one. */
export function cronTicksQuery(tenantId: string, expressions: readonly string[], count = 5) {
  return queryOptions({
    queryKey: ["cron-ticks", tenantId, expressions, count],
    queryFn: async ({ signal }) =>
      (
        await request(z.object({ rows: rowsOf(ticksSchema) }), `/api/v1/stable/tenants/${tenantId}/cron-ticks`, {
          signal,
          query: { expression: expressions, count },
        })
      ).rows,
  });
}

export async function setCronEnabled(tenantId: string, cronId: string, enabled: boolean): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}/workflows/crons/${cronId}`, { method: "PATCH", body: { enabled } });
}

/** Makes a run beside the cron's ticks; answers its id. */
export async function runCron(tenantId: string, cronId: string): Promise<string> {
  return (await request(firedSchema, `/api/v1/tenants/${tenantId}/workflows/crons/${cronId}`, { method: "POST" })).externalId;
}

const backfillPreviewSchema = z.object({
  count: z.int(),
  countMax: z.int(),
  isTooMany: z.boolean(),
  first: orNull(instantMs),
  last: orNull(instantMs),
});
export type BackfillPreview = z.output<typeof backfillPreviewSchema>;

const backfillSchema = z.object({ backfillId: z.string(), made: z.int(), skipped: z.int() });
export type Backfill = z.output<typeof backfillSchema>;

export interface PastRange {
  readonly sinceMs: number;
  readonly untilMs: number;
}

function isoRange({ sinceMs, untilMs }: PastRange): { since: string; until: string } {
  return { since: new Date(sinceMs).toISOString(), until: new Date(untilMs).toISOString() };
}

function backfillPath(tenantId: string, cronId: string): string {
  return `/api/v1/stable/tenants/${tenantId}/crons/${cronId}/backfill`;
}

/** How many runs a backfill of this range would make; refused when the range cannot be backfilled. */
export function backfillPreviewQuery(tenantId: string, cronId: string, range: PastRange) {
  return queryOptions({
    queryKey: ["backfill-preview", tenantId, cronId, range],
    queryFn: ({ signal }) => request(backfillPreviewSchema, backfillPath(tenantId, cronId), { signal, query: isoRange(range) }),
    retry: false,
  });
}

/** Makes a run for each tick of a past range. */
export async function backfillCron(tenantId: string, cronId: string, range: PastRange): Promise<Backfill> {
  return request(backfillSchema, backfillPath(tenantId, cronId), { method: "POST", body: isoRange(range) });
}

export async function deleteCron(tenantId: string, cronId: string): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}/workflows/crons/${cronId}`, { method: "DELETE" });
}

// Schedules ----------------------------------------------------------------------------------------------------------

export function schedulesQuery(tenantId: string, workflowId: string | null) {
  return pagedQuery(["schedules", tenantId], `/api/v1/tenants/${tenantId}/workflows/scheduled`, scheduleSchema, {
    workflowId,
    orderByField: "triggerAt",
    orderByDirection: "ASC",
  });
}

export async function moveSchedule(tenantId: string, scheduleId: string, atMs: number): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}/workflows/scheduled/${scheduleId}`, {
    method: "PATCH",
    body: { triggerAt: new Date(atMs).toISOString() },
  });
}

const SCHEDULES_AT_ONCE_MAX = 500;

const outcomeSchema = z.object({ errors: rowsOf(z.object({ id: orNull(z.string()), error: z.string() })) });

/** Some may have been triggered meanwhile: those stay as they are. Answers how many were not touched. */
export async function moveSchedules(tenantId: string, ids: readonly string[], atMs: number): Promise<number> {
  const triggerAt = new Date(atMs).toISOString();
  return inParts(ids, (part) =>
    request(outcomeSchema, `/api/v1/tenants/${tenantId}/workflows/scheduled/bulk-update`, {
      method: "POST",
      body: { updates: part.map((id) => ({ id, triggerAt })) },
    }),
  );
}

/** As with `moveSchedules`. */
export async function deleteSchedules(tenantId: string, ids: readonly string[]): Promise<number> {
  return inParts(ids, (part) =>
    request(outcomeSchema, `/api/v1/tenants/${tenantId}/workflows/scheduled/bulk-delete`, {
      method: "POST",
      body: { scheduledWorkflowRunIds: part },
    }),
  );
}

async function inParts(
  ids: readonly string[],
  act: (part: readonly string[]) => Promise<z.output<typeof outcomeSchema>>,
): Promise<number> {
  let untouched = 0;
  for (let start = 0; start < ids.length; start += SCHEDULES_AT_ONCE_MAX) {
    untouched += (await act(ids.slice(start, start + SCHEDULES_AT_ONCE_MAX))).errors.length;
  }
  return untouched;
}

/** Triggers it now instead; answers the run's id. */
export async function runSchedule(tenantId: string, scheduleId: string): Promise<string> {
  const path = `/api/v1/tenants/${tenantId}/workflows/scheduled/${scheduleId}`;
  return (await request(firedSchema, path, { method: "POST" })).externalId;
}

export async function deleteSchedule(tenantId: string, scheduleId: string): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}/workflows/scheduled/${scheduleId}`, { method: "DELETE" });
}
