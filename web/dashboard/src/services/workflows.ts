/** Workflows: the list, also used as the options of the run filter. */
import { queryOptions } from "@tanstack/react-query";

import { request } from "./http";
import { workflowListSchema, type Workflow } from "./schemas";

const WORKFLOWS_MAX = 200;
const POLL_MS = 5_000;

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
    refetchInterval: POLL_MS,
  });
}
