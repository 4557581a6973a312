/** Makes another cron of one: its name, when it ticks, and what its runs are given. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { RunFields, useRunFields } from "../forms/RunFields";
import type { JsonObject } from "../forms/json";
import { changeCron, type Cron } from "../services/triggers";
import { workflowVersionQuery } from "../services/workflows";
import { CronExpressionField } from "./CronExpressionField";
import { FormDialog } from "./FormDialog";
import { Loading } from "./Notice";
import { Dialog } from "./ui/dialog";
import { Field, Input } from "./ui/field";

interface CronDialogProps {
  readonly tenantId: string;
  readonly cron: Cron;
  readonly onClose: () => void;
}

export function CronDialog(props: CronDialogProps) {
  const version = useQuery(workflowVersionQuery(props.cron.workflowId, null));
  if (version.isPending) {
    return (
      <Dialog title={`Edit ${props.cron.name ?? props.cron.cron}`} onClose={props.onClose} wide="very">
        <Loading label="Loading the workflow…" />
      </Dialog>
    );
  }
  return <CronForm {...props} schema={version.data?.inputJsonSchema ?? null} defaultPriority={version.data?.defaultPriority ?? null} />;
}

function CronForm({
  tenantId,
  cron,
  onClose,
  schema,
  defaultPriority,
}: CronDialogProps & { schema: JsonObject | null; defaultPriority: number | null }) {
  const [name, setName] = useState(cron.name ?? "");
  const [expression, setExpression] = useState(cron.cron);
  const run = useRunFields(schema, {
    input: cron.input,
    additionalMetadata: cron.additionalMetadata,
    // A cron without one of its own is listed with its workflow's.
    priority: cron.priority === defaultPriority ? null : cron.priority,
  });
  return (
    <FormDialog
      title={`Edit ${cron.name ?? cron.cron}`}
      onClose={onClose}
      wide="very"
      problems={{
        cronName: name.trim() === "" ? "Give the cron a name." : null,
        cronExpression: expression.trim() === "" ? "Say when it ticks, for example 0 9 * * 1-5." : null,
        ...run.problems,
      }}
      act={() => changeCron(tenantId, cron.metadata.id, { cronName: name.trim(), cronExpression: expression.trim(), ...run.given })}
      submit="Save"
      submitting="Saving…"
      touches={["crons"]}
    >
      {(problemAt) => (
        <>
          <div className="grid gap-x-5 md:grid-cols-2">
            <Field label="Name of the cron" error={problemAt("cronName")}>
              {(props) => <Input {...props} value={name} onChange={(event) => setName(event.target.value)} />}
            </Field>
            <CronExpressionField tenantId={tenantId} expression={expression} problem={problemAt("cronExpression")} onChange={setExpression} />
          </div>
          <RunFields state={run} problemAt={problemAt} />
        </>
      )}
    </FormDialog>
  );
}
