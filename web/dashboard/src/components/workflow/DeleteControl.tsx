/** Deletes a workflow after saying what goes with it. */
import { useQueryClient } from "@tanstack/react-query";

import type { WorkflowDetails } from "../../services/schemas";
import { deleteWorkflow } from "../../services/workflows";
import { ConfirmButton } from "../ConfirmButton";
import { useOwnTriggers } from "./useOwnTriggers";

export function DeleteControl({ tenantId, workflow, onDone }: { tenantId: string; workflow: WorkflowDetails; onDone: () => void }) {
  const client = useQueryClient();
  const id = workflow.metadata.id;
  return (
    <ConfirmButton
      label="Delete"
      needs="deleteWorkflow"
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
  const own = useOwnTriggers(tenantId, workflowId);
  return <p>{own === null ? "Its crons and scheduled runs are deleted with it." : `Deleted with it: ${own}.`}</p>;
}
