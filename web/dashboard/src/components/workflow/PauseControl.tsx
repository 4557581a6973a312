/** Pauses a workflow, with what becomes of its ticks and schedules meanwhile, and has it go on. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import type { WorkflowDetails } from "../../services/schemas";
import { pauseWorkflow, unpauseWorkflow } from "../../services/workflows";
import { FormDialog } from "../FormDialog";
import { Refusal } from "../Notice";
import { Button } from "../ui/button";
import { Field, Input, Select } from "../ui/field";
import { useOwnTriggers } from "./useOwnTriggers";

export function PauseControl({ tenantId, workflow }: { tenantId: string; workflow: WorkflowDetails }) {
  const client = useQueryClient();
  const [asks, setAsks] = useState(false);
  const [crons, setCrons] = useState<"DROP" | "QUEUE">("DROP");
  const [schedules, setSchedules] = useState<"DROP" | "QUEUE">("QUEUE");
  const [ttl, setTtl] = useState("24h");
  const id = workflow.metadata.id;
  const refresh = () => void client.invalidateQueries({ queryKey: ["workflows"] });
  const going = useMutation({ mutationFn: () => unpauseWorkflow(id), onSettled: refresh });

  if (workflow.isPaused) {
    return (
      <>
        <Button needs="changeWorkflow" disabled={going.isPending} onClick={() => going.mutate()}>
          {going.isPending ? "Resuming…" : "Resume"}
        </Button>
        {going.error !== null && <Refusal error={going.error} />}
      </>
    );
  }
  return (
    <>
      <Button needs="changeWorkflow" onClick={() => setAsks(true)}>
        Pause
      </Button>
      {asks && (
        <FormDialog
          title={`Pause ${workflow.name}`}
          onClose={() => setAsks(false)}
          problems={{ "pause.pausedWorkflowQueueTTL": ttl.trim() === "" ? "Say how long, for example 24h." : null }}
          act={() => pauseWorkflow(id, { crons, schedules, ttl })}
          submit="Pause it"
          submitting="Pausing…"
          touches={["workflows"]}
        >
          {(problemAt) => (
            <>
              <p className="mb-3 text-sm">
                New runs are made and wait; what is running goes on. <Touched tenantId={tenantId} workflowId={id} />
              </p>
              <Field label="A cron's tick meanwhile">
                {(props) => <Behaviour {...props} value={crons} onChange={setCrons} />}
              </Field>
              <Field label="A scheduled run that comes due meanwhile">
                {(props) => <Behaviour {...props} value={schedules} onChange={setSchedules} />}
              </Field>
              <Field
                label="Waiting runs are cancelled after"
                hint="A duration such as 90s, 24h or 7d."
                error={problemAt("pause.pausedWorkflowQueueTTL")}
              >
                {(props) => <Input {...props} value={ttl} onChange={(event) => setTtl(event.target.value)} />}
              </Field>
            </>
          )}
        </FormDialog>
      )}
    </>
  );
}

function Touched({ tenantId, workflowId }: { tenantId: string; workflowId: string }) {
  const own = useOwnTriggers(tenantId, workflowId);
  return own === null ? null : <>It has {own}.</>;
}

function Behaviour({
  value,
  onChange,
  ...props
}: {
  id: string;
  value: "DROP" | "QUEUE";
  onChange: (value: "DROP" | "QUEUE") => void;
}) {
  return (
    <Select {...props} value={value} onChange={(event) => onChange(event.target.value === "DROP" ? "DROP" : "QUEUE")}>
      <option value="DROP">is dropped</option>
      <option value="QUEUE">waits</option>
    </Select>
  );
}
