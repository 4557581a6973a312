/** Starts a workflow: now, at a time, or again and again. The input is checked against the workflow's schema first. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import type { JsonObject } from "../forms/json";
import { RunFields, useRunFields } from "../forms/RunFields";
import { createCron, scheduleRun, startRun } from "../services/triggers";
import { workflowVersionQuery } from "../services/workflows";
import { instantOf, useZone, zoneName } from "../time/zone";
import { CronExpressionField } from "./CronExpressionField";
import { FormDialog } from "./FormDialog";
import { Loading } from "./Notice";
import { Dialog } from "./ui/dialog";
import { Field, Input, Select } from "./ui/field";

type When = "now" | "at" | "cron";

const WHEN_LABELS: Readonly<Record<When, string>> = { now: "Now", at: "At a time", cron: "Again and again (cron)" };
const DONE_LABELS: Readonly<Record<When, string>> = { now: "Run", at: "Schedule", cron: "Create cron" };

export interface StartDialogProps {
  readonly tenantId: string;
  readonly workflow: { readonly id: string; readonly name: string };
  /** Of the run that is done again; without one the schema says what to begin with. */
  readonly input?: JsonObject;
  readonly metadata?: JsonObject;
  readonly when?: When;
  readonly onClose: () => void;
}

export function StartDialog(props: StartDialogProps) {
  const version = useQuery(workflowVersionQuery(props.workflow.id, null));
  if (version.isPending) {
    return (
      <Dialog title={`Run ${props.workflow.name}`} onClose={props.onClose} wide="very">
        <Loading label="Loading the workflow…" />
      </Dialog>
    );
  }
  return <StartForm {...props} schema={version.data?.inputJsonSchema ?? null} />;
}

function StartForm({
  tenantId,
  workflow,
  schema,
  input,
  metadata,
  when: first = "now",
  onClose,
}: StartDialogProps & { readonly schema: JsonObject | null }) {
  const navigate = useNavigate();
  const zone = useZone();
  const run = useRunFields(schema, { ...(input && { input }), ...(metadata && { additionalMetadata: metadata }) });
  const [when, setWhen] = useState<When>(first);
  const [at, setAt] = useState("");
  const [cronName, setCronName] = useState("");
  const [expression, setExpression] = useState("");
  const atMs = instantOf(at, zone);

  async function start(): Promise<string> {
    const what = { workflowName: workflow.name, ...run.given };
    if (when === "now") return startRun(tenantId, what);
    if (when === "at") return scheduleRun(tenantId, what, atMs);
    return createCron(tenantId, what, cronName.trim(), expression.trim());
  }

  return (
    <FormDialog
      title={`Run ${workflow.name}`}
      onClose={onClose}
      wide="very"
      problems={{
        ...run.problems,
        triggerAt: when === "at" && Number.isNaN(atMs) ? "Say when." : null,
        cronName: when === "cron" && cronName.trim() === "" ? "Give the cron a name." : null,
        cronExpression: when === "cron" && expression.trim() === "" ? "Say when it ticks, for example 0 9 * * 1-5." : null,
      }}
      act={start}
      submit={DONE_LABELS[when]}
      submitting="Starting…"
      touches={["runs", "schedules", "crons"]}
      onDone={(id) => {
        onClose();
        if (when === "now") void navigate({ to: "/runs/$id", params: { id } });
        else void navigate({ to: when === "at" ? "/scheduled" : "/crons" });
      }}
    >
      {(problemAt) => (
        <>
          <RunFields state={run} problemAt={problemAt} />
          <div className="grid gap-x-5 md:grid-cols-2">
            <Field label="When">
              {(props) => (
                <Select {...props} value={when} onChange={(event) => setWhen(event.target.value as When)}>
                  {Object.entries(WHEN_LABELS).map(([value, label]) => (
                    <option key={value} value={value}>
                      {label}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            {when === "at" && (
              <Field label="Time" error={problemAt("triggerAt")} hint={`A time in ${zoneName(zone)}.`}>
                {(props) => <Input {...props} type="datetime-local" value={at} onChange={(event) => setAt(event.target.value)} />}
              </Field>
            )}
            {when === "cron" && (
              <>
                <Field label="Name of the cron" error={problemAt("cronName")}>
                  {(props) => <Input {...props} value={cronName} onChange={(event) => setCronName(event.target.value)} />}
                </Field>
                <CronExpressionField
                  tenantId={tenantId}
                  expression={expression}
                  problem={problemAt("cronExpression")}
                  onChange={setExpression}
                />
              </>
            )}
          </div>
        </>
      )}
    </FormDialog>
  );
}
