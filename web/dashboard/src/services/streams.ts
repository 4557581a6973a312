/** Durable streams: topics, their messages as they come, and publishing one. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs } from "./schemas";

/** How many of the latest messages a page begins with. */
const LATEST = 100;

const topicSchema = z.object({
  namespace: z.string(),
  topic: z.string(),
  createdAt: instantMs,
  lastPublishedAt: instantMs,
  messageCount: z.int(),
});

export function topicsQuery(tenantId: string, search: string) {
  return pagedQuery(["streams", tenantId], `/api/v1/stable/tenants/${tenantId}/streams/topics`, topicSchema, {
    search: search === "" ? null : search,
  });
}

/** Of the engine's, in hours. */
export const RETENTION_HOURS_MAX = 62 * 24;

/** For how many hours messages of this tenant are kept. */
export function retentionQuery(tenantId: string) {
  return queryOptions({
    queryKey: ["streams", "retention", tenantId],
    queryFn: async ({ signal }) => {
      const answer = z.object({ retentionHours: z.int() });
      return (await request(answer, `/api/v1/stable/tenants/${tenantId}/streams/topics`, { signal, query: { limit: 1 } })).retentionHours;
    },
  });
}

export async function putRetention(tenantId: string, retentionHours: number): Promise<void> {
  await request(z.unknown(), `/api/v1/stable/tenants/${tenantId}/streams/retention`, { method: "PUT", body: { retentionHours } });
}

export interface TopicMessage {
  readonly cursor: string;
  readonly payload: string;
  /** What the payload is: text, bytes in Base64, or a reference to stored ones. */
  readonly kind: "message" | "binary" | "reference";
}

/** "gone": what should follow is not kept any more, or may not be read. */
export type TopicState = "connecting" | "live" | "gone";

/** Follows a topic from its latest messages on, until the function it returns is called. */
export function followTopic(
  tenantId: string,
  namespace: string,
  topic: string,
  onMessage: (message: TopicMessage) => void,
  onState: (state: TopicState) => void,
): () => void {
  const source = new EventSource(`${addressOf(tenantId, namespace, topic)}?last=${LATEST}`);
  for (const kind of ["message", "binary", "reference"] as const) {
    source.addEventListener(kind, (event: MessageEvent<string>) => {
      onState("live");
      onMessage({ cursor: event.lastEventId, payload: event.data, kind });
    });
  }
  source.addEventListener("open", () => onState("live"));
  source.addEventListener("error", () => onState(source.readyState === EventSource.CLOSED ? "gone" : "connecting"));
  return () => source.close();
}

export async function publishMessage(tenantId: string, namespace: string, topic: string, text: string): Promise<void> {
  await request(z.unknown(), addressOf(tenantId, namespace, topic), { method: "POST", text });
}

function addressOf(tenantId: string, namespace: string, topic: string): string {
  return `/api/v1/stable/tenants/${tenantId}/streams/${encodeURIComponent(namespace === "" ? "-" : namespace)}/${encodeURIComponent(topic)}`;
}
