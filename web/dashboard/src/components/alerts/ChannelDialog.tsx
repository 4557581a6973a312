import { useState } from "react";

import { CHANNEL_KINDS, createChannel, type ChannelBody, type ChannelKind, type MadeChannel } from "../../services/alerts";
import { CopyLine } from "../CopyLine";
import { FormDialog } from "../FormDialog";
import { Field, Input, Select, TextArea } from "../ui/field";

export function ChannelDialog({ tenantId, onClose }: { tenantId: string; onClose: () => void }) {
  const [kind, setKind] = useState<ChannelKind>("WEBHOOK");
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [routingKey, setRoutingKey] = useState("");
  const [written, setWritten] = useState("");
  const addresses = written.split(/[\s,;]+/).filter((address) => address !== "");

  function body(): ChannelBody {
    const common = { kind, name: name.trim() };
    if (kind === "EMAIL") return { ...common, addresses };
    return kind === "PAGERDUTY" ? { ...common, routingKey: routingKey.trim() } : { ...common, url: url.trim() };
  }

  return (
    <FormDialog
      title="Create a channel"
      onClose={onClose}
      problems={{
        kind: null,
        name: name.trim() === "" ? "Give it a name." : null,
        url: (kind === "WEBHOOK" || kind === "SLACK") && url.trim() === "" ? "Give an address." : null,
        addresses: kind === "EMAIL" && addresses.length === 0 ? "Give an address." : null,
        routingKey: kind === "PAGERDUTY" && routingKey.trim() === "" ? "Give the routing key." : null,
      }}
      act={() => createChannel(tenantId, body())}
      submit="Create"
      submitting="Creating…"
      touches={["alert-channels"]}
      done={(made) => ({ title: `${made.name} is ready`, content: <Made channel={made} /> })}
    >
      {(problemAt) => (
        <>
          <Field label="Kind" error={problemAt("kind")}>
            {(props) => (
              <Select {...props} value={kind} onChange={({ target }) => setKind(target.value as ChannelKind)}>
                {CHANNEL_KINDS.map((known) => (
                  <option key={known.kind} value={known.kind}>
                    {known.label}
                  </option>
                ))}
              </Select>
            )}
          </Field>
          <Field label="Name" error={problemAt("name")}>
            {(props) => <Input {...props} value={name} onChange={({ target }) => setName(target.value)} />}
          </Field>
          {kind === "EMAIL" && (
            <Field label="Addresses" hint="Up to 20, a line each. They see each other." error={problemAt("addresses")}>
              {(props) => <TextArea {...props} rows={3} placeholder="team@example.com" value={written} onChange={({ target }) => setWritten(target.value)} />}
            </Field>
          )}
          {kind === "PAGERDUTY" && (
            <Field label="Routing key" hint="Of an integration with the Events API v2. Kept encrypted." error={problemAt("routingKey")}>
              {(props) => (
                <Input {...props} type="password" autoComplete="off" value={routingKey} onChange={({ target }) => setRoutingKey(target.value)} />
              )}
            </Field>
          )}
          {(kind === "WEBHOOK" || kind === "SLACK") && (
            <Field
              label="Address"
              hint={kind === "SLACK" ? "Of an incoming webhook of Slack, Mattermost or the like. Kept encrypted." : "Messages are sent to it as signed requests."}
              error={problemAt("url")}
            >
              {(props) => (
                <Input {...props} type="url" autoComplete="off" placeholder="https://" value={url} onChange={({ target }) => setUrl(target.value)} />
              )}
            </Field>
          )}
        </>
      )}
    </FormDialog>
  );
}

function Made({ channel }: { channel: MadeChannel }) {
  if (channel.secret === null) return <p className="text-sm">Send a test to see whether it works, and name it in a rule.</p>;
  return (
    <>
      <p className="text-sm">Requests are signed with this secret. It is shown this once:</p>
      <CopyLine label="secret" text={channel.secret} />
    </>
  );
}
