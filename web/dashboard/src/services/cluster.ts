/** The engines that share the database. */
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, rowsOf } from "./schemas";

const nodeSchema = z.object({
  id: z.string(),
  address: z.string(),
  version: z.string(),
  startedAt: instantMs,
  renewedSecondsAgo: z.number(),
  /** Since when it hands its tenants over; null for one that does not. */
  drainingAt: orNull(instantMs),
  tenants: z.int(),
  load: z.number(),
  isLost: z.boolean(),
});
export type ClusterNode = z.output<typeof nodeSchema>;

export const nodesQuery = pagedQuery(["cluster-nodes"], "/api/v1/cluster/nodes", nodeSchema);

/** Lets a node hand all its tenants over, or own again. */
export async function drainNode(id: string, isUndone: boolean): Promise<void> {
  await request(z.object({ rows: rowsOf(nodeSchema) }), `/api/v1/cluster/nodes/${id}/drain`, { method: isUndone ? "DELETE" : "PUT" });
}
