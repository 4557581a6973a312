/** Workflows: the list, also used as the options of the run filter; one of them, its versions, and its pause. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import {
  instantMs,
  rowsOf,
  RUN_STATUSES,
  workflowDetailsSchema,
  workflowListSchema,
  workflowSchema,
  workflowVersionSchema,
  type Workflow,
} from "./schemas";

const WORKFLOWS_MAX = 200;

export function workflowsQuery(tenantId: string) {
  return queryOptions({
    queryKey: ["workflows", tenantId],
    queryFn: async ({ signal }): Promise<readonly Workflow[]> =>
      (
        await request(workflowListSchema, `/api/v1/tenants/${tenantId}/workflows`, {
          signal,
          query: { limit: WORKFLOWS_MAX, offset: 0 },
        })
      ).rows,
  });
}

export function workflowPagesQuery(tenantId: string, name: string) {
  return pagedQuery(["workflows", tenantId, "pages"], `/api/v1/tenants/${tenantId}/workflows`, workflowSchema, {
    name: name === "" ? null : name,
  });
}

export function workflowQuery(id: string) {
  return queryOptions({
    queryKey: ["workflows", "one", id],
    queryFn: ({ signal }) => request(workflowDetailsSchema, `/api/v1/workflows/${id}`, { signal }),
  });
}

/** The latest version unless one is named. */
export function workflowVersionQuery(id: string, version: string | null) {
  return queryOptions({
    queryKey: ["workflows", "version", id, version],
    queryFn: ({ signal }) =>
      request(workflowVersionSchema, `/api/v1/workflows/${id}/versions`, { signal, query: { version } }),
  });
}

const lastRunSchema = z.object({ workflowId: z.string(), runExternalId: z.string(), status: z.enum(RUN_STATUSES), createdAt: instantMs });
export type LastRun = z.output<typeof lastRunSchema>;

/** The newest run of each of at most a hundred workflows, by their ids. */
export function lastRunsQuery(tenantId: string, workflowIds: readonly string[]) {
  return queryOptions({
    queryKey: ["runs", "last", tenantId, workflowIds],
    queryFn: async ({ signal }): Promise<ReadonlyMap<string, LastRun>> => {
      const path = `/api/v1/stable/tenants/${tenantId}/last-runs`;
      const answer = await request(z.object({ rows: rowsOf(lastRunSchema) }), path, { signal, query: { workflow_ids: workflowIds } });
      return new Map(answer.rows.map((row) => [row.workflowId, row]));
    },
    enabled: workflowIds.length > 0,
  });
}

export interface Pause {
  readonly crons: "DROP" | "QUEUE";
  readonly schedules: "DROP" | "QUEUE";
  /** A duration such as `24h`: what waits longer is cancelled. */
  readonly ttl: string;
}

export async function pauseWorkflow(id: string, { crons, schedules, ttl }: Pause): Promise<void> {
  await request(z.unknown(), `/api/v1/workflows/${id}`, {
    method: "PATCH",
    body: {
      pause: {
        action: "pause",
        pausedWorkflowCronRunQueueBehavior: crons,
        pausedWorkflowScheduledRunQueueBehavior: schedules,
        pausedWorkflowQueueTTL: ttl,
      },
    },
  });
}

export async function unpauseWorkflow(id: string): Promise<void> {
  await request(z.unknown(), `/api/v1/workflows/${id}`, { method: "PATCH", body: { pause: { action: "unpause" } } });
}

export async function deleteWorkflow(id: string): Promise<void> {
  await request(z.unknown(), `/api/v1/workflows/${id}`, { method: "DELETE" });
}
