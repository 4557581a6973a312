/** What starts a workflow by itself, in words: "3 crons and 1 scheduled run"; null until it is known. */
import { useInfiniteQuery } from "@tanstack/react-query";

import { ROWS_PER_PAGE, rowsIn } from "../../services/pages";
import { cronsQuery, schedulesQuery } from "../../services/triggers";

export function useOwnTriggers(tenantId: string, workflowId: string): string | null {
  const crons = useInfiniteQuery(cronsQuery(tenantId, workflowId));
  const schedules = useInfiniteQuery(schedulesQuery(tenantId, workflowId));
  if (crons.data === undefined || schedules.data === undefined) return null;
  return `${many(rowsIn(crons.data).length, "cron")} and ${many(rowsIn(schedules.data).length, "scheduled run")}`;
}

function many(count: number, what: string): string {
  return `${count}${count >= ROWS_PER_PAGE ? " or more" : ""} ${what}${count === 1 ? "" : "s"}`;
}
