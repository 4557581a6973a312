/** The example worker that an engine on one's own machine offers to newcomers. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { orNull } from "./schemas";

const exampleSchema = z.object({ isOffered: z.boolean(), isRunning: z.boolean(), problem: orNull(z.string()) });

const pathOf = (tenantId: string) => `/api/v1/stable/tenants/${tenantId}/example`;

export function exampleQuery(tenantId: string) {
  return queryOptions({
    queryKey: ["example", tenantId],
    queryFn: ({ signal }) => request(exampleSchema, pathOf(tenantId), { signal }),
  });
}

/** Starts it; it starts a run by itself. */
export async function startExample(tenantId: string): Promise<void> {
  await request(exampleSchema, pathOf(tenantId), { method: "POST" });
}
