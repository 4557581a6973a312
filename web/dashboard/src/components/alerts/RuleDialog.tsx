import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { ALERT_KINDS, putRule, type AlertChannel, type AlertKind, type AlertRule, type KnownKind } from "../../services/alerts";
import { workflowsQuery } from "../../services/workflows";
import { FormDialog } from "../FormDialog";
import { Field, Input, Select, TextArea } from "../ui/field";

/** Makes a rule, or changes one. */
export function RuleDialog({
  tenantId,
  rule,
  channels,
  onClose,
}: {
  tenantId: string;
  rule: AlertRule | null;
  channels: readonly AlertChannel[];
  onClose: () => void;
}) {
  const workflows = useQuery(workflowsQuery(tenantId)).data ?? [];
  const [kind, setKind] = useState<KnownKind>(ALERT_KINDS.find((known) => known.kind === rule?.kind) ?? ALERT_KINDS[0]);
  const [name, setName] = useState(rule?.name ?? "");
  const [workflow, setWorkflow] = useState(rule?.workflow ?? "");
  const [threshold, setThreshold] = useState(String(rule?.threshold ?? kind.usual));
  const [window, setWindow] = useState(rule?.window ?? kind.window);
  const [quiet, setQuiet] = useState(rule?.quiet ?? "1h");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(
    new Set(rule?.channels ?? (channels.length === 1 ? channels.map((channel) => channel.metadata.id) : [])),
  );
  const [template, setTemplate] = useState(rule?.template ?? "");
  const names = workflows.map((known) => known.name);

  function choose(next: AlertKind): void {
    const known = ALERT_KINDS.find((each) => each.kind === next) ?? ALERT_KINDS[0];
    setKind(known);
    setThreshold(String(known.usual));
    setWindow(known.window);
  }

  function toggle(id: string, isChosen: boolean): void {
    const next = new Set(chosen);
    if (isChosen) next.add(id);
    else next.delete(id);
    setChosen(next);
  }

  return (
    <FormDialog
      title={rule === null ? "Create a rule" : `Edit ${rule.name}`}
      onClose={onClose}
      wide
      problems={{
        name: name.trim() === "" ? "Give it a name." : null,
        workflow: null,
        threshold: kind.threshold === null || /^[1-9][0-9]*$/.test(threshold) ? null : "Give a whole number from 1.",
        window: window.trim() === "" ? "Give a duration, such as 5m." : null,
        quiet: quiet.trim() === "" ? "Give a duration, such as 1h, or 0s." : null,
        channels: chosen.size === 0 ? "Choose a channel." : null,
        template: null,
      }}
      act={() =>
        putRule(tenantId, rule?.metadata.id ?? null, {
          name: name.trim(),
          kind: kind.kind,
          workflow: kind.isOfWorkflows ? workflow : "",
          threshold: kind.threshold === null ? kind.usual : Number(threshold),
          window: window.trim(),
          quiet: quiet.trim(),
          channels: [...chosen],
          template,
        })
      }
      submit={rule === null ? "Create" : "Save"}
      submitting={rule === null ? "Creating…" : "Saving…"}
      touches={["alert-rules", "alert-channels"]}
    >
      {(problemAt) => (
        <>
          <div className="grid gap-x-4 sm:grid-cols-2">
            <Field label="Name" error={problemAt("name")}>
              {(props) => <Input {...props} value={name} onChange={({ target }) => setName(target.value)} />}
            </Field>
            <Field label="What it watches">
              {(props) => (
                <Select {...props} disabled={rule !== null} value={kind.kind} onChange={({ target }) => choose(target.value as AlertKind)}>
                  {ALERT_KINDS.map((known) => (
                    <option key={known.kind} value={known.kind}>
                      {known.label}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            {kind.isOfWorkflows && (
              <Field label="Workflow" error={problemAt("workflow")}>
                {(props) => (
                  <Select {...props} value={workflow} onChange={({ target }) => setWorkflow(target.value)}>
                    <option value="">Every workflow, each for itself</option>
                    {(names.includes(workflow) || workflow === "" ? names : [workflow, ...names]).map((known) => (
                      <option key={known} value={known}>
                        {known}
                      </option>
                    ))}
                  </Select>
                )}
              </Field>
            )}
            {kind.threshold !== null && (
              <Field label={kind.threshold} error={problemAt("threshold")}>
                {(props) => <Input {...props} inputMode="numeric" value={threshold} onChange={({ target }) => setThreshold(target.value)} />}
              </Field>
            )}
            {kind.within !== null && (
              <Field label={kind.within} hint="A duration, such as 5m or 1h." error={problemAt("window")}>
                {(props) => <Input {...props} value={window} onChange={({ target }) => setWindow(target.value)} />}
              </Field>
            )}
            <Field label="Quiet period" hint="How long nothing more is told of the same thing." error={problemAt("quiet")}>
              {(props) => <Input {...props} value={quiet} onChange={({ target }) => setQuiet(target.value)} />}
            </Field>
          </div>
          <fieldset className="mb-3">
            <legend className="mb-1 text-sm font-medium">Channels</legend>
            {channels.map((channel) => (
              <label key={channel.metadata.id} className="flex items-center gap-2 py-0.5 text-sm">
                <input
                  type="checkbox"
                  checked={chosen.has(channel.metadata.id)}
                  onChange={({ target }) => toggle(channel.metadata.id, target.checked)}
                />
                <span className="min-w-0 break-words">{channel.name}</span>
              </label>
            ))}
            {problemAt("channels") !== null && (
              <p role="alert" className="mt-1 text-xs text-failed">
                {problemAt("channels")}
              </p>
            )}
          </fieldset>
          <Field
            label="Message"
            hint="What it says, with {workflow}, {count}, {error}, {run}, {rule}, {threshold} and {window}. Leave it empty for a sentence of ours."
            error={problemAt("template")}
          >
            {(props) => <TextArea {...props} rows={3} value={template} onChange={({ target }) => setTemplate(target.value)} />}
          </Field>
        </>
      )}
    </FormDialog>
  );
}
