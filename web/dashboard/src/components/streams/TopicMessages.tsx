/** The latest messages of a topic, the newest first, and those that come while somebody looks. */
import { useEffect, useState } from "react";

import { followTopic, type TopicMessage, type TopicState } from "../../services/streams";
import { Loading, Notice } from "../Notice";
import { Card } from "../ui/card";

/** Older ones leave the page. */
const SHOWN_MAX = 200;
const STATES: Readonly<Record<TopicState, string>> = {
  connecting: "Connecting…",
  live: "Live: messages appear as they are published.",
  gone: "This stream has ended. Open the page again to go on from the latest messages.",
};

export function TopicMessages({ tenantId, namespace, topic }: { tenantId: string; namespace: string; topic: string }) {
  const [messages, setMessages] = useState<readonly TopicMessage[]>([]);
  const [state, setState] = useState<TopicState>("connecting");
  useEffect(
    () =>
      followTopic(tenantId, namespace, topic, (message) => setMessages((shown) => [message, ...shown].slice(0, SHOWN_MAX)), setState),
    [tenantId, namespace, topic],
  );
  return (
    <>
      <p role="status" className={state === "gone" ? "mb-3 text-sm text-failed" : "mb-3 text-sm text-ink-soft"}>
        {STATES[state]}
      </p>
      <Card aria-label="Messages">
        {messages.length > 0 ? (
          <ol aria-label="Messages" className="divide-y divide-line">
            {messages.map((message) => (
              <li key={message.cursor} className="px-4 py-2.5">
                <Payload tenantId={tenantId} message={message} />
              </li>
            ))}
          </ol>
        ) : state === "connecting" ? (
          <Loading label="Loading messages…" />
        ) : (
          <Notice title="No messages">
            <p>None is kept of this topic. What is published appears here.</p>
          </Notice>
        )}
      </Card>
    </>
  );
}

function Payload({ tenantId, message }: { tenantId: string; message: TopicMessage }) {
  if (message.kind === "reference") {
    const address = `/api/v1/stable/tenants/${tenantId}/streams/payloads?ref=${encodeURIComponent(message.payload)}`;
    return (
      <a href={address} download className="text-sm text-accent underline">
        Download a large payload
      </a>
    );
  }
  return (
    <>
      {message.kind === "binary" && <span className="mr-2 text-xs text-ink-soft">bytes, in Base64</span>}
      <code className="font-mono text-xs [overflow-wrap:anywhere] whitespace-pre-wrap text-ink">{message.payload === "" ? "(empty)" : message.payload}</code>
    </>
  );
}
