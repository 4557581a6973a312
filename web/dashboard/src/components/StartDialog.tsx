/** Starts a workflow: now, at a time, or again and again. The input is checked against the workflow's schema first. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type SyntheticEvent } from "react";

import { ApiError } from "../services/http";
import { createCron, scheduleRun, startRun, type Start } from "../services/triggers";
import { workflowVersionQuery } from "../services/workflows";
import { checkJson, exampleOf, JsonField, type JsonObject } from "./JsonField";
import { Loading } from "./Notice";
import { Button } from "./ui/button";
import { Actions, Dialog } from "./ui/dialog";
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
  return (
    <Dialog title={`Run ${workflow.name}`} onClose={onClose} wide>
      {version.isPending ? (
        <Loading label="Loading the workflow…" />
      ) : (
        <StartForm
          tenantId={tenantId}
          workflowName={workflow.name}
          schema={version.data?.inputJsonSchema ?? null}
          input={input ?? null}
          metadata={metadata}
          when={first}
          onClose={onClose}
        />
      )}
    </Dialog>
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
  const client = useQueryClient();
  const navigate = useNavigate();
  const [when, setWhen] = useState<When>(first);
  const [inputText, setInputText] = useState(() => (input === null ? exampleOf(schema) : JSON.stringify(input, null, 2)));
  const [metadataText, setMetadataText] = useState(() => (Object.keys(metadata).length === 0 ? "" : JSON.stringify(metadata)));
  const [priority, setPriority] = useState("");
  const [at, setAt] = useState("");
  const [cronName, setCronName] = useState("");
  const [expression, setExpression] = useState("");
  const [wasTried, setWasTried] = useState(false);

  const checkedInput = checkJson(inputText, schema);
  const checkedMetadata = checkJson(metadataText);
  const problems: Partial<Record<"at" | "name" | "expression", string>> = {
    ...(when === "at" && Number.isNaN(Date.parse(at)) && { at: "Say when." }),
    ...(when === "cron" && cronName.trim() === "" && { name: "Give the cron a name." }),
    ...(when === "cron" && expression.trim() === "" && { expression: "Say when it ticks, for example 0 9 * * 1-5." }),
  };

  const starting = useMutation({
    mutationFn: async (start: Start) => {
      if (when === "now") return startRun(tenantId, start);
      if (when === "at") return scheduleRun(tenantId, start, Date.parse(at));
      return createCron(tenantId, start, cronName.trim(), expression.trim());
    },
    onSuccess: async (id) => {
      void client.invalidateQueries();
      onClose();
      if (when === "now") await navigate({ to: "/runs/$id", params: { id } });
      else await navigate({ to: when === "at" ? "/scheduled" : "/crons" });
    },
  });

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    setWasTried(true);
    if (checkedInput.value === null || checkedMetadata.value === null || Object.keys(problems).length > 0) return;
    starting.mutate({
      workflowName,
      input: checkedInput.value,
      additionalMetadata: checkedMetadata.value,
      priority: priority === "" ? null : Number(priority),
    });
  }

  const refused = starting.error instanceof ApiError ? starting.error : null;
  return (
    <form onSubmit={submit} noValidate>
      <JsonField
        label="Input"
        text={inputText}
        problem={wasTried ? checkedInput.problem : null}
        onChange={setInputText}
        rows={12}
        hint={schema === null ? "A JSON object. This workflow declares no schema for it." : "A JSON object. It is checked against the workflow's schema."}
      />
      <JsonField
        label="Metadata"
        text={metadataText}
        problem={wasTried ? checkedMetadata.problem : null}
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
        <Field label="Priority">
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
          <Field label="Time" error={wasTried ? problems.at : null} hint={`In your time zone, ${zone()}.`}>
            {(props) => <Input {...props} type="datetime-local" value={at} onChange={(event) => setAt(event.target.value)} />}
          </Field>
        )}
        {when === "cron" && (
          <>
            <Field label="Name of the cron" error={wasTried ? problems.name : null}>
              {(props) => <Input {...props} value={cronName} onChange={(event) => setCronName(event.target.value)} />}
            </Field>
            <Field
              label="Expression"
              error={wasTried ? problems.expression : null}
              hint="Five or six fields, in UTC unless it begins with a zone: CRON_TZ=Europe/Berlin 0 9 * * *"
            >
              {(props) => <Input {...props} className="font-mono" value={expression} onChange={(event) => setExpression(event.target.value)} />}
            </Field>
          </>
        )}
      </div>
      {refused !== null && (
        <p role="alert" className="text-sm break-words text-failed">
          {refused.message}
        </p>
      )}
      <Actions>
        <Button onClick={onClose}>Close</Button>
        <Button type="submit" variant="primary" disabled={starting.isPending}>
          {starting.isPending ? "Starting…" : DONE_LABELS[when]}
        </Button>
      </Actions>
    </form>
  );
}

function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
