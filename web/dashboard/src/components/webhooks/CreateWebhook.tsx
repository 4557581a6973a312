import { useState } from "react";

import { createWebhook, webhookUrl, type NewWebhook, type WebhookSource } from "../../services/events";
import { CopyLine } from "../CopyLine";
import { FormDialog } from "../FormDialog";
import { Field, Input, Select } from "../ui/field";
import { SOURCES } from "./sources";

type Proof = "HMAC" | "BASIC" | "API_KEY";

export function CreateWebhook({ tenantId, onClose }: { tenantId: string; onClose: () => void }) {
  const [source, setSource] = useState<WebhookSource>("GITHUB");
  const preset = SOURCES[source];
  const [name, setName] = useState("");
  const [eventKey, setEventKey] = useState(preset.eventKey);
  const [chosenProof, setChosenProof] = useState<Proof>("HMAC");
  const proof = preset.secret === null ? chosenProof : "HMAC";
  const [header, setHeader] = useState("X-Signature");
  const [user, setUser] = useState("");
  const [secret, setSecret] = useState("");

  function choose(next: WebhookSource): void {
    setSource(next);
    setEventKey(SOURCES[next].eventKey);
  }

  function body(): NewWebhook {
    const common = { sourceName: source, name: name.trim(), eventKeyExpression: eventKey };
    switch (proof) {
      case "BASIC":
        return { ...common, authType: "BASIC", auth: { username: user, password: secret } };
      case "API_KEY":
        return { ...common, authType: "API_KEY", auth: { headerName: header, apiKey: secret } };
      case "HMAC":
        return {
          ...common,
          authType: "HMAC",
          auth: {
            algorithm: preset.algorithm,
            encoding: preset.encoding,
            signatureHeaderName: preset.secret === null ? header : preset.header,
            signingSecret: secret,
          },
        };
    }
  }

  return (
    <FormDialog
      title="Create a webhook"
      onClose={onClose}
      wide
      problems={{
        name: name.trim() === "" ? "Give it a name." : null,
        eventKeyExpression: eventKey.trim() === "" ? "Give an expression." : null,
        "auth.username": null,
        auth: secret === "" ? "Without it everybody could send." : null,
      }}
      act={() => createWebhook(tenantId, body())}
      submit="Create"
      submitting="Creating…"
      touches={["webhooks"]}
      done={() => ({
        title: `${name.trim()} is ready`,
        content: (
          <>
            <p className="text-sm">Tell the other service to send its requests to</p>
            <CopyLine label="address" text={webhookUrl(tenantId, name.trim())} />
          </>
        ),
      })}
    >
      {(problemAt) => (
        <>
          <div className="grid gap-x-4 sm:grid-cols-2">
            <Field label="Who sends">
              {(props) => (
                <Select {...props} value={source} onChange={(event) => choose(event.target.value as WebhookSource)}>
                  {Object.entries(SOURCES).map(([value, { label }]) => (
                    <option key={value} value={value}>
                      {label}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            <Field label="Name" hint="It becomes part of the address." error={problemAt("name")}>
              {(props) => <Input {...props} value={name} onChange={(event) => setName(event.target.value)} />}
            </Field>
          </div>
          <Field
            label="Event key"
            hint="A CEL expression over input (the body) and headers: what the event is called."
            error={problemAt("eventKeyExpression")}
          >
            {(props) => <Input {...props} className="font-mono text-xs" value={eventKey} onChange={(event) => setEventKey(event.target.value)} />}
          </Field>
          <div className="grid gap-x-4 sm:grid-cols-2">
            {preset.secret === null && (
              <>
                <Field label="Proof">
                  {(props) => (
                    <Select {...props} value={chosenProof} onChange={(event) => setChosenProof(event.target.value as Proof)}>
                      <option value="HMAC">Signature (HMAC)</option>
                      <option value="API_KEY">Key in a header</option>
                      <option value="BASIC">User and password</option>
                    </Select>
                  )}
                </Field>
                {proof === "BASIC" ? (
                  <Field label="User" error={problemAt("auth.username")}>
                    {(props) => <Input {...props} autoComplete="off" value={user} onChange={(event) => setUser(event.target.value)} />}
                  </Field>
                ) : (
                  <Field label="Header">
                    {(props) => <Input {...props} value={header} onChange={(event) => setHeader(event.target.value)} />}
                  </Field>
                )}
              </>
            )}
            <Field
              label={preset.secret ?? (proof === "BASIC" ? "Password" : proof === "API_KEY" ? "Key" : "Signing secret")}
              hint="Kept encrypted, and never shown again."
              error={problemAt("auth")}
            >
              {(props) => <Input {...props} type="password" autoComplete="off" value={secret} onChange={(event) => setSecret(event.target.value)} />}
            </Field>
          </div>
        </>
      )}
    </FormDialog>
  );
}
