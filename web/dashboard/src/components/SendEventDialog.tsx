/**
 * The event that a task waits for, filled in: its key, its scope, and a payload that makes the expression true as far as
 * that can be derived. Before anything is sent the engine says what the expression makes of the payload.
 */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useDeferredValue, useState } from "react";

import { checkJson } from "../forms/json";
import { pushEvent, trialQuery } from "../services/events";
import type { WaitCondition } from "../services/waiting";
import { FormDialog } from "./FormDialog";
import { JsonField } from "./JsonField";
import { Field, Input } from "./ui/field";

export function SendEventDialog({
  tenantId,
  condition,
  action,
  onClose,
}: {
  tenantId: string;
  condition: WaitCondition;
  /** What becomes of a task of a DAG when it comes; null of a durable task. */
  action: string | null;
  onClose: () => void;
}) {
  const [key, setKey] = useState(condition.eventKey ?? "");
  const [scope, setScope] = useState(condition.scope ?? "");
  const [text, setText] = useState(() => indented(condition.payload ?? "{}"));
  const checked = checkJson(text);
  return (
    <FormDialog
      title="Send the event it waits for"
      onClose={onClose}
      wide
      problems={{ key: key.trim() === "" ? "Give it a key." : null, scope: null, data: checked.problem }}
      act={() =>
        pushEvent(tenantId, { key: key.trim(), data: checked.value ?? {}, scope: scope === "" ? null : scope, additionalMetadata: {} })
      }
      submit="Send"
      submitting="Sending…"
      touches={["events", "waiting", "runs"]}
    >
      {(problemAt) => (
        <>
          <Field label="Key" error={problemAt("key")}>
            {(props) => <Input {...props} value={key} onChange={(event) => setKey(event.target.value)} />}
          </Field>
          <Field
            label="Scope"
            hint={condition.scope === null ? "It waits for this key in any scope." : "It waits for this scope only."}
            error={problemAt("scope")}
          >
            {(props) => <Input {...props} value={scope} onChange={(event) => setScope(event.target.value)} />}
          </Field>
          <JsonField label="Payload" text={text} problem={problemAt("data") ?? checked.problem} onChange={setText} />
          {condition.expression === null ? (
            <p className="text-sm text-ink-soft">Any payload will do: it waits for the key alone.</p>
          ) : (
            <Verdict tenantId={tenantId} expression={condition.expression} input={checked.value ?? null} />
          )}
          {(action === "SKIP" || action === "CANCEL") && (
            <p className="mt-2 text-sm font-medium text-cancelled">
              By this event the task is {action === "SKIP" ? "skipped" : "cancelled"}.
            </p>
          )}
          <p className="mt-2 text-xs text-ink-soft">
            An event is for everybody: other tasks that wait for it go on as well, and workflows that it triggers start.
          </p>
        </>
      )}
    </FormDialog>
  );
}

function Verdict({
  tenantId,
  expression,
  input,
}: {
  tenantId: string;
  expression: string;
  input: Readonly<Record<string, unknown>> | null;
}) {
  const asked = useDeferredValue(input);
  const trial = useQuery({ ...trialQuery(tenantId, expression, asked ?? {}), enabled: asked !== null, placeholderData: keepPreviousData });
  return (
    <div className="text-sm">
      <p className="mb-1 font-medium">Its expression</p>
      <code className="block rounded-md bg-sunken px-2 py-1.5 font-mono text-xs break-words whitespace-pre-wrap">{expression}</code>
      <p role="status" className="mt-1.5">
        {asked === null ? "" : verdictOf(trial.data, trial.error)}
      </p>
    </div>
  );
}

function verdictOf(trial: { output: boolean | null; error: string | null } | undefined, error: Error | null): string {
  if (trial === undefined) return error === null ? "Asking the engine…" : `The engine could not be asked: ${error.message}`;
  if (trial.error !== null) return `It fails on this payload: ${trial.error}`;
  return trial.output === true ? "✓ It is true of this payload." : "✗ It is not true of this payload: the task will wait on.";
}

function indented(json: string): string {
  return JSON.stringify(JSON.parse(json), null, 2);
}
