/** Where runs come from beside code: started by hand, planned for an instant, or by a cron. */
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, payload, resourceMeta } from "./schemas";

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

export async function setCronEnabled(tenantId: string, cronId: string, enabled: boolean): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}/workflows/crons/${cronId}`, { method: "PATCH", body: { enabled } });
}

/** Makes a run beside the cron's ticks; answers its id. */
export async function runCron(tenantId: string, cronId: string): Promise<string> {
  return (await request(firedSchema, `/api/v1/tenants/${tenantId}/workflows/crons/${cronId}`, { method: "POST" })).externalId;
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

/** Triggers it now instead; answers the run's id. */
export async function runSchedule(tenantId: string, scheduleId: string): Promise<string> {
  const path = `/api/v1/tenants/${tenantId}/workflows/scheduled/${scheduleId}`;
  return (await request(firedSchema, path, { method: "POST" })).externalId;
}

export async function deleteSchedule(tenantId: string, scheduleId: string): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}/workflows/scheduled/${scheduleId}`, { method: "DELETE" });
}
