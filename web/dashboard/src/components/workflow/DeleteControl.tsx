/** Deletes a workflow after saying what goes with it. */
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";

import { ROWS_PER_PAGE, rowsIn } from "../../services/pages";
import type { WorkflowDetails } from "../../services/schemas";
import { cronsQuery, schedulesQuery } from "../../services/triggers";
import { deleteWorkflow } from "../../services/workflows";
import { ConfirmButton } from "../ConfirmButton";

export function DeleteControl({ tenantId, workflow, onDone }: { tenantId: string; workflow: WorkflowDetails; onDone: () => void }) {
  const client = useQueryClient();
  const id = workflow.metadata.id;
  return (
    <ConfirmButton
      label="Delete"
      size="regular"
      title={`Delete ${workflow.name}?`}
      confirm="Delete it"
      act={() => deleteWorkflow(id)}
      onDone={() => {
        void client.invalidateQueries({ queryKey: ["workflows"] });
        onDone();
      }}
    >
      <p>Its name is forgotten and nothing starts it any more. Live runs go on, and history stays.</p>
      <WhatGoes tenantId={tenantId} workflowId={id} />
      <p>A worker that registers it again brings it back, without the crons and schedules that people made.</p>
    </ConfirmButton>
  );
}

function WhatGoes({ tenantId, workflowId }: { tenantId: string; workflowId: string }) {
  const crons = useInfiniteQuery(cronsQuery(tenantId, workflowId));
  const schedules = useInfiniteQuery(schedulesQuery(tenantId, workflowId));
  if (crons.data === undefined || schedules.data === undefined) return <p>Its crons and scheduled runs are deleted with it.</p>;
  const [cronCount, scheduleCount] = [rowsIn(crons.data).length, rowsIn(schedules.data).length];
  return (
    <p>
      Deleted with it: {many(cronCount, "cron")} and {many(scheduleCount, "scheduled run")}.
    </p>
  );
}

function many(count: number, what: string): string {
  return `${count}${count >= ROWS_PER_PAGE ? " or more" : ""} ${what}${count === 1 ? "" : "s"}`;
}
