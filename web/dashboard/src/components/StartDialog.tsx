/** Starts a workflow: now, at a time, or again and again. The input is checked against the workflow's schema first. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { createCron, scheduleRun, startRun, type Start } from "../services/triggers";
import { workflowVersionQuery } from "../services/workflows";
import { FormDialog } from "./FormDialog";
import { checkJson, exampleOf, JsonField, type JsonObject } from "./JsonField";
import { Loading } from "./Notice";
import { Dialog } from "./ui/dialog";
import { Field, Input, Select } from "./ui/field";

type When = "now" | "at" | "cron";

const WHEN_LABELS: Readonly<Record<When, string>> = { now: "Now", at: "At a time", cron: "Again and again (cron)" };
const DONE_LABELS: Readonly<Record<When, string>> = { now: "Run", at: "Schedule", cron: "Create cron" };

export function StartDialog({
  tenantId,
  workflow,
  input,
  metadata = {},
  when: first = "now",
  onClose,
}: {
  tenantId: string;
  workflow: { readonly id: string; readonly name: string };
  /** Of the run that is done again; without one the schema says what to begin with. */
  input?: JsonObject;
  metadata?: JsonObject;
  when?: When;
  onClose: () => void;
}) {
  const version = useQuery(workflowVersionQuery(workflow.id, null));
  if (version.isPending) {
    return (
      <Dialog title={`Run ${workflow.name}`} onClose={onClose} wide>
        <Loading label="Loading the workflow…" />
      </Dialog>
    );
  }
  return (
    <StartForm
      tenantId={tenantId}
      workflowName={workflow.name}
      schema={version.data?.inputJsonSchema ?? null}
      input={input ?? null}
      metadata={metadata}
      when={first}
      onClose={onClose}
    />
  );
}

function StartForm({
  tenantId,
  workflowName,
  schema,
  input,
  metadata,
  when: first,
  onClose,
}: {
  tenantId: string;
  workflowName: string;
  schema: JsonObject | null;
  input: JsonObject | null;
  metadata: JsonObject;
  when: When;
  onClose: () => void;
}) {
  const navigate = useNavigate();
  const [when, setWhen] = useState<When>(first);
  const [inputText, setInputText] = useState(() => (input === null ? exampleOf(schema) : JSON.stringify(input, null, 2)));
  const [metadataText, setMetadataText] = useState(() => (Object.keys(metadata).length === 0 ? "" : JSON.stringify(metadata)));
  const [priority, setPriority] = useState("");
  const [at, setAt] = useState("");
  const [cronName, setCronName] = useState("");
  const [expression, setExpression] = useState("");

  const checkedInput = checkJson(inputText, schema);
  const checkedMetadata = checkJson(metadataText);

  async function start(): Promise<string> {
    const what: Start = {
      workflowName,
      input: checkedInput.value ?? {},
      additionalMetadata: checkedMetadata.value ?? {},
      priority: priority === "" ? null : Number(priority),
    };
    if (when === "now") return startRun(tenantId, what);
    if (when === "at") return scheduleRun(tenantId, what, Date.parse(at));
    return createCron(tenantId, what, cronName.trim(), expression.trim());
  }

  return (
    <FormDialog
      title={`Run ${workflowName}`}
      onClose={onClose}
      wide
      problems={{
        input: checkedInput.problem,
        additionalMetadata: checkedMetadata.problem,
        priority: null,
        triggerAt: when === "at" && Number.isNaN(Date.parse(at)) ? "Say when." : null,
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
          <JsonField
            label="Input"
            text={inputText}
            problem={problemAt("input")}
            onChange={setInputText}
            rows={12}
            hint={schema === null ? "A JSON object. This workflow declares no schema for it." : "A JSON object. It is checked against the workflow's schema."}
          />
          <JsonField
            label="Metadata"
            text={metadataText}
            problem={problemAt("additionalMetadata")}
            onChange={setMetadataText}
            rows={2}
            hint='Key-value pairs to find the run by, for example {"customer": "acme"}.'
          />
          <div className="grid gap-x-4 sm:grid-cols-2">
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
            <Field label="Priority" error={problemAt("priority")}>
              {(props) => (
                <Select {...props} value={priority} onChange={(event) => setPriority(event.target.value)}>
                  <option value="">As the workflow says</option>
                  <option value="1">Low</option>
                  <option value="2">Medium</option>
                  <option value="3">High</option>
                </Select>
              )}
            </Field>
            {when === "at" && (
              <Field label="Time" error={problemAt("triggerAt")} hint={`In your time zone, ${zone()}.`}>
                {(props) => <Input {...props} type="datetime-local" value={at} onChange={(event) => setAt(event.target.value)} />}
              </Field>
            )}
            {when === "cron" && (
              <>
                <Field label="Name of the cron" error={problemAt("cronName")}>
                  {(props) => <Input {...props} value={cronName} onChange={(event) => setCronName(event.target.value)} />}
                </Field>
                <Field
                  label="Expression"
                  error={problemAt("cronExpression")}
                  hint="Five or six fields, in UTC unless it begins with a zone: CRON_TZ=Europe/Berlin 0 9 * * *"
                >
                  {(props) => <Input {...props} className="font-mono" value={expression} onChange={(event) => setExpression(event.target.value)} />}
                </Field>
              </>
            )}
          </div>
        </>
      )}
    </FormDialog>
  );
}

function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
