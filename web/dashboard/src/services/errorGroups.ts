/** Failed tasks grouped by their mistake, and the tasks of one group. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { replayRuns } from "./runs";
import { sinceOf, type TimeRange } from "./runSearch";
import { instantMs, orNull, rowsOf } from "./schemas";

const groupSchema = z.object({
  fingerprint: z.string(),
  exceptionType: orNull(z.string()),
  message: z.string(),
  file: orNull(z.string()),
  line: orNull(z.int()),
  function: orNull(z.string()),
  code: orNull(z.string()),
  count: z.int(),
  firstSeenAt: instantMs,
  lastSeenAt: instantMs,
  exampleRunExternalId: z.string(),
  workflows: z.array(z.object({ workflowId: z.string(), name: z.string(), count: z.int() })),
  taskNames: z.array(z.string()),
});
export type ErrorGroup = z.output<typeof groupSchema>;

const groupsSchema = z.object({ rows: rowsOf(groupSchema), tasksLookedAt: z.int(), oldestLookedAt: orNull(instantMs) });
const tasksSchema = z.object({ rows: rowsOf(z.object({ taskExternalId: z.string() })) });

/** One request replays as many, so that a large group neither fills one nor times out. */
const REPLAYED_AT_ONCE = 200;

function pathOf(tenantId: string): string {
  return `/api/v1/stable/tenants/${tenantId}/error-groups`;
}

export function errorGroupsQuery(tenantId: string, range: TimeRange) {
  return queryOptions({
    queryKey: ["runs", "error-groups", tenantId, range],
    queryFn: ({ signal }) => request(groupsSchema, pathOf(tenantId), { signal, query: { ...sinceOf(range) } }),
    placeholderData: keepPreviousData,
  });
}

/** Replays every task of the group that is there now; answers how many were queued again. */
export async function replayGroup(
  tenantId: string,
  fingerprint: string,
  range: TimeRange,
  onProgress: (done: number, all: number) => void,
): Promise<number> {
  const answer = await request(tasksSchema, `${pathOf(tenantId)}/${fingerprint}/tasks`, { query: { ...sinceOf(range) } });
  const ids = answer.rows.map((task) => task.taskExternalId);
  let replayed = 0;
  for (let at = 0; at < ids.length; at += REPLAYED_AT_ONCE) {
    onProgress(at, ids.length);
    replayed += (await replayRuns(tenantId, ids.slice(at, at + REPLAYED_AT_ONCE))).length;
  }
  return replayed;
}
