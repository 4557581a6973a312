/**
 * Runs by what is asked of them: the list, how many there are, and acts on all that match. All of it is said to the
 * engine in the same words, so that what is listed is what is counted, exported and acted on.
 */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { EVERY_RUN, type RunQuery } from "../search/grammar";
import { request } from "./http";
import { pagedQuery, type Page } from "./pages";
import type { RunAct } from "./runs";
import { actionResultSchema, orNull, rowsOf, runMetricsSchema, RUN_STATUSES, taskSummarySchema, type RunStatus, type TaskSummary } from "./schemas";

/** When the runs were made. `last` moves with the clock. */
export type TimeRange =
  | { readonly kind: "ever" }
  | { readonly kind: "last"; readonly windowMs: number }
  | { readonly kind: "between"; readonly from: string; readonly to: string | null };

export interface RunFilter {
  readonly range: TimeRange;
  readonly query: RunQuery;
}

export interface RunListing extends RunFilter {
  /** Tasks, those of DAGs one by one, instead of runs. */
  readonly ofTasks: boolean;
  readonly oldestFirst: boolean;
}

export type StatusCounts = Readonly<Record<RunStatus, number>>;

/** The engine counts and cancels no further. */
export const COUNTED_MAX = 20_000;
/** Of the runs that a filter finds, the engine replays as many. */
export const REPLAYED_MAX = 1_000;
const EVER = "1970-01-01T00:00:00Z";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function runsWithin(windowMs: number): RunFilter {
  return { range: { kind: "last", windowMs }, query: EVERY_RUN };
}

export function runListQuery(tenantId: string, listing: RunListing) {
  return {
    ...pagedQuery(["runs", "list", tenantId, listing], listPath(tenantId), taskSummarySchema, () => listParameters(listing)),
    placeholderData: keepPreviousData,
    meta: { isConstant: isInPayloads(listing) },
  };
}

/** Whether payloads have to be read for it: then it is asked for once, and not again with every change. */
function isInPayloads({ query }: RunFilter): boolean {
  return query.inputs.length > 0 || query.outputs.length > 0;
}

/** One page of any size, for reading a list to its end. */
export async function fetchRuns(
  tenantId: string,
  listing: RunListing,
  page: { readonly cursor: string | null; readonly limit: number; readonly withPayloads: boolean },
  signal: AbortSignal,
): Promise<Page<TaskSummary>> {
  const answer = await request(runPageSchema, listPath(tenantId), {
    signal,
    query: { ...listParameters(listing), include_payloads: page.withPayloads, limit: page.limit, cursor: page.cursor },
  });
  return { rows: answer.rows, nextCursor: answer.pagination?.next_cursor ?? null };
}

const runPageSchema = z.object({
  rows: rowsOf(taskSummarySchema),
  pagination: orNull(z.object({ next_cursor: orNull(z.string()) })),
});

/** By status, whatever statuses the filter names. */
export function statusCountsQuery(tenantId: string, filter: RunFilter) {
  const everyStatus = { ...filter, query: { ...filter.query, statuses: [], place: null } };
  return queryOptions({
    queryKey: ["runs", "counts", tenantId, everyStatus],
    queryFn: async ({ signal }): Promise<StatusCounts> => {
      const answer = await request(runMetricsSchema, `/api/v1/stable/tenants/${tenantId}/task-metrics`, {
        signal,
        query: snakeCase(parametersOf(everyStatus)),
      });
      const counts: Record<RunStatus, number> = { QUEUED: 0, RUNNING: 0, COMPLETED: 0, FAILED: 0, CANCELLED: 0 };
      for (const status of RUN_STATUSES) counts[status] = answer.find((metric) => metric.status === status)?.count ?? 0;
      return counts;
    },
    placeholderData: keepPreviousData,
    meta: { isConstant: isInPayloads(filter) },
  });
}

/** How many runs match, counting no further than `COUNTED_MAX`: what an act will touch. Each time is counted anew. */
export function runCountQuery(tenantId: string, filter: RunFilter, time: number) {
  return queryOptions({
    queryKey: ["runs", "count", tenantId, filter, time],
    queryFn: async ({ signal }): Promise<number> => {
      const query = snakeCase(parametersOf(filter));
      return (await request(z.object({ count: z.int() }), `${listPath(tenantId)}/count`, { signal, query })).count;
    },
    gcTime: 0,
    meta: { isConstant: true },
  });
}

/** Cancels or replays everything that matches; answers the ids that were touched. */
export async function actOnMatches(tenantId: string, verb: RunAct, filter: RunFilter): Promise<readonly string[]> {
  const path = `/api/v1/stable/tenants/${tenantId}/tasks/${verb}`;
  const parameters = Object.entries(parametersOf(filter)).filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0));
  const body = { filter: Object.fromEntries(parameters) };
  return (await request(actionResultSchema, path, { method: "POST", body })).ids;
}

function listPath(tenantId: string): string {
  return `/api/v1/stable/tenants/${tenantId}/workflow-runs`;
}

function listParameters(listing: RunListing): Record<string, Value> {
  return {
    ...snakeCase(parametersOf(listing)),
    only_tasks: listing.ofTasks,
    include_payloads: false,
    include_num_pages: false,
    order_by_direction: listing.oldestFirst && !listing.ofTasks ? "ASC" : null,
  };
}

type Value = string | number | boolean | readonly string[] | null;

/** What a filter is to the engine, by the names of its body; those of an address are the same in snake case. */
function parametersOf({ range, query }: RunFilter): Readonly<Record<string, Value>> {
  return {
    ...sinceOf(range),
    // Runs that do not run are on no worker, and not asleep either.
    statuses: query.statuses.length === 0 && query.place !== null ? ["RUNNING"] : query.statuses,
    workflowIds: query.workflows.filter((workflow) => UUID.test(workflow)),
    workflowNames: query.workflows.filter((workflow) => !UUID.test(workflow)),
    additionalMetadata: query.metadata.map(({ key, value }) => `${key}:${value}`),
    additionalMetadataOperator: query.metadata.length > 1 && !query.anyMetadata ? "AND" : null,
    runningFilter: query.place === null ? null : query.place === "evicted" ? "EVICTED" : "ON_WORKER",
    causes: query.causes,
    externalIdPrefix: query.id,
    triggeringEventExternalId: query.event,
    parentRunExternalId: query.parent,
    workerId: query.worker,
    idempotencyKeys: query.keys,
    input: query.inputs,
    output: query.outputs,
    search: query.text,
  };
}

/** The range by the clock of now. */
export function sinceOf(range: TimeRange): { readonly since: string; readonly until: string | null } {
  switch (range.kind) {
    case "ever":
      return { since: EVER, until: null };
    case "last":
      return { since: new Date(Date.now() - range.windowMs).toISOString(), until: null };
    case "between":
      return { since: range.from, until: range.to };
  }
}

function snakeCase(parameters: Readonly<Record<string, Value>>): Record<string, Value> {
  const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [snake(name), value]));
}
