import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { CopyButton } from "../components/CopyButton";
import { FormDialog } from "../components/FormDialog";
import { JsonField } from "../components/JsonField";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { Ago } from "../components/Times";
import { Button } from "../components/ui/button";
import { Field, Input, Select } from "../components/ui/field";
import { readObject } from "../forms/json";
import {
  changeWebhook,
  createWebhook,
  deleteWebhook,
  webhookFailuresQuery,
  webhooksQuery,
  webhookUrl,
  type NewWebhook,
  type Webhook,
  type WebhookSource,
} from "../services/events";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

export function WebhooksPage() {
  useTitle("Webhooks");
  const { tenant } = useSession();
  const client = useQueryClient();
  const webhooks = useInfiniteQuery(webhooksQuery(tenant.id));
  const failures = useInfiniteQuery(webhookFailuresQuery(tenant.id));
  const [creates, setCreates] = useState(false);
  const [edits, setEdits] = useState<Webhook | null>(null);
  const refresh = () => void client.invalidateQueries({ queryKey: ["webhooks"] });

  return (
    <>
      <PageHeader title="Webhooks" docs="webhooks">
        <Button variant="primary" needs="createWebhook" onClick={() => setCreates(true)}>
          Create a webhook
        </Button>
      </PageHeader>
      <PagedTable
        label="Webhooks"
        query={webhooks}
        keyOf={(webhook) => webhook.metadata.id}
        empty={
          <Notice title="No webhooks">
            <p>By a webhook another service pushes events: GitHub, Stripe, Slack, Linear, or whoever can send a request.</p>
          </Notice>
        }
        columns={[
          { title: "Name", cell: (webhook) => webhook.name },
          { title: "Source", cell: (webhook) => SOURCES[webhook.sourceName].label },
          { title: "Event key", cell: (webhook) => <code className="font-mono text-xs break-all">{webhook.eventKeyExpression}</code> },
          {
            title: "Address",
            cell: (webhook) => (
              <span className="flex items-start gap-2">
                <code className="min-w-0 font-mono text-xs break-all">{webhookUrl(tenant.id, webhook.name)}</code>
                <CopyButton label={`address of ${webhook.name}`} text={webhookUrl(tenant.id, webhook.name)} />
              </span>
            ),
          },
          {
            title: "Actions",
            isUntitled: true,
            cell: (webhook) => (
              <div className="flex justify-end gap-1.5">
                <Button size="small" needs="changeWebhook" aria-label={`Edit ${webhook.name}`} onClick={() => setEdits(webhook)}>
                  Edit
                </Button>
                <ConfirmButton
                  label="Delete"
                  needs="deleteWebhook"
                  accessibleName={`Delete ${webhook.name}`}
                  title={`Delete the webhook ${webhook.name}?`}
                  confirm="Delete it"
                  act={() => deleteWebhook(tenant.id, webhook.name)}
                  onDone={refresh}
                >
                  <p>Requests to its address are refused from now on. Its secret is forgotten.</p>
                </ConfirmButton>
              </div>
            ),
          },
        ]}
      />
      <h2 className="mt-6 mb-3 text-base font-semibold">Refused requests</h2>
      <PagedTable
        label="Refused requests"
        query={failures}
        keyOf={(failure) => `${failure.webhookName}-${failure.at}-${failure.message}`}
        empty={<p className="px-6 py-8 text-sm text-ink-soft">No request was refused.</p>}
        columns={[
          { title: "Webhook", cell: (failure) => failure.webhookName },
          { title: "Why", cell: (failure) => failure.message },
          { title: "When", cell: (failure) => <Ago instantMs={failure.at} /> },
        ]}
      />
      {edits !== null && <EditWebhook tenantId={tenant.id} webhook={edits} onClose={() => setEdits(null)} />}
      {creates && <CreateWebhook tenantId={tenant.id} onClose={() => setCreates(false)} />}
    </>
  );
}

interface Preset {
  readonly label: string;
  readonly eventKey: string;
  /** What the secret is called over there; null: the proof is chosen. */
  readonly secret: string | null;
  readonly header: string;
  readonly algorithm: string;
  readonly encoding: string;
}

const SOURCES: Readonly<Record<WebhookSource, Preset>> = {
  GENERIC: { label: "Other", eventKey: "input.type", secret: null, header: "X-Signature", algorithm: "SHA256", encoding: "HEX" },
  GITHUB: { label: "GitHub", eventKey: "'github:' + headers['x-github-event']", secret: "Secret", header: "X-Hub-Signature-256", algorithm: "SHA256", encoding: "HEX" },
  STRIPE: { label: "Stripe", eventKey: "'stripe:' + input.type", secret: "Signing secret", header: "Stripe-Signature", algorithm: "SHA256", encoding: "HEX" },
  SLACK: { label: "Slack", eventKey: "'slack:' + input.type", secret: "Signing secret", header: "X-Slack-Signature", algorithm: "SHA256", encoding: "HEX" },
  LINEAR: { label: "Linear", eventKey: "'linear:' + input.type", secret: "Signing secret", header: "Linear-Signature", algorithm: "SHA256", encoding: "HEX" },
  SVIX: { label: "Svix", eventKey: "'svix:' + input.type", secret: "Signing secret", header: "svix-signature", algorithm: "SHA256", encoding: "BASE64" },
};

type Proof = "HMAC" | "BASIC" | "API_KEY";

function CreateWebhook({ tenantId, onClose }: { tenantId: string; onClose: () => void }) {
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
      done={() => ({ title: `${name.trim()} is ready`, content: <Address url={webhookUrl(tenantId, name.trim())} /> })}
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

function EditWebhook({ tenantId, webhook, onClose }: { tenantId: string; webhook: Webhook; onClose: () => void }) {
  const [eventKey, setEventKey] = useState(webhook.eventKeyExpression);
  const [scope, setScope] = useState(webhook.scopeExpression ?? "");
  const [added, setAdded] = useState(webhook.staticPayload === null ? "" : JSON.stringify(webhook.staticPayload, null, 2));
  const payload = readObject(added);
  return (
    <FormDialog
      title={`Edit ${webhook.name}`}
      onClose={onClose}
      problems={{ eventKeyExpression: eventKey.trim() === "" ? "Give an expression." : null, scopeExpression: null, staticPayload: payload.problem }}
      act={() => changeWebhook(tenantId, webhook.name, { eventKeyExpression: eventKey, scopeExpression: scope, staticPayload: payload.value ?? {} })}
      submit="Save"
      submitting="Saving…"
      touches={["webhooks"]}
    >
      {(problemAt) => (
        <>
          <Field label="Event key" hint="A CEL expression over input (the body) and headers." error={problemAt("eventKeyExpression")}>
            {(props) => <Input {...props} className="font-mono text-xs" value={eventKey} onChange={(event) => setEventKey(event.target.value)} />}
          </Field>
          <Field label="Scope" hint="A CEL expression for the event’s scope. Leave it empty for none." error={problemAt("scopeExpression")}>
            {(props) => <Input {...props} className="font-mono text-xs" value={scope} onChange={(event) => setScope(event.target.value)} />}
          </Field>
          <JsonField
            label="Added to every payload"
            hint="A JSON object whose fields every event of this webhook gets, over what was sent. Leave it empty for none."
            text={added}
            problem={problemAt("staticPayload")}
            rows={4}
            onChange={setAdded}
          />
          <p className="text-xs text-ink-soft">How senders prove themselves stays as it is. For another secret, make another webhook.</p>
        </>
      )}
    </FormDialog>
  );
}

function Address({ url }: { url: string }) {
  return (
    <>
      <p className="text-sm">Tell the other service to send its requests to</p>
      <p className="mt-2 flex items-start gap-2 rounded-md bg-sunken p-3">
        <code className="min-w-0 font-mono text-xs break-all">{url}</code>
        <CopyButton label="address" text={url} />
      </p>
    </>
  );
}
