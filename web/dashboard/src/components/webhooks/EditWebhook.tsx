import { useState } from "react";

import { readObject } from "../../forms/json";
import { changeWebhook, type Webhook } from "../../services/events";
import { FormDialog } from "../FormDialog";
import { JsonField } from "../JsonField";
import { Field, Input } from "../ui/field";

export function EditWebhook({ tenantId, webhook, onClose }: { tenantId: string; webhook: Webhook; onClose: () => void }) {
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
