/** Events that were pushed, filters that choose among them, and webhooks they come by. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import type { JsonObject } from "../forms/json";
import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, payload, resourceMeta, rowsOf } from "./schemas";

type Json = Readonly<Record<string, unknown>>;

const eventSchema = z.object({
  metadata: resourceMeta,
  key: z.string(),
  payload,
  additionalMetadata: payload,
  scope: orNull(z.string()),
  seenAt: instantMs,
  triggeredRuns: rowsOf(z.object({ workflowRunId: z.string(), filterId: orNull(z.string()) })),
  triggeringWebhookName: orNull(z.string()),
});
export type PushedEvent = z.output<typeof eventSchema>;

export interface EventFilter {
  readonly sinceMs: number;
  readonly key: string | null;
  readonly scope: string | null;
  /** `key:value` pairs. */
  readonly metadata: readonly string[];
}

export function eventsQuery(tenantId: string, filter: EventFilter) {
  const { sinceMs, key, scope, metadata } = filter;
  // Of the window and not of an instant: a reader who comes back is asking the same question.
  return pagedQuery(["events", tenantId, filter], `/api/v1/stable/tenants/${tenantId}/events`, eventSchema, () => ({
    since: new Date(Date.now() - sinceMs).toISOString(),
    keys: key === null ? [] : [key],
    scopes: scope === null ? [] : [scope],
    additionalMetadata: metadata,
  }));
}

export interface NewEvent {
  readonly key: string;
  readonly data: Json;
  readonly scope: string | null;
  readonly additionalMetadata: Json;
}

export async function pushEvent(tenantId: string, { key, data, scope, additionalMetadata }: NewEvent): Promise<PushedEvent> {
  return request(eventSchema, `/api/v1/tenants/${tenantId}/events`, {
    method: "POST",
    body: { key, data, additionalMetadata, ...(scope === null ? {} : { scope }) },
  });
}

// Filters ------------------------------------------------------------------------------------------------------------

const filterSchema = z.object({
  metadata: resourceMeta,
  workflowId: z.string(),
  scope: z.string(),
  expression: z.string(),
  payload,
  isDeclarative: z.boolean(),
});
export type EventFilterRule = z.output<typeof filterSchema>;

export function filtersQuery(tenantId: string) {
  return pagedQuery(["filters", tenantId], `/api/v1/stable/tenants/${tenantId}/filters`, filterSchema);
}

export interface NewFilter {
  readonly workflowId: string;
  readonly scope: string;
  readonly expression: string;
  readonly payload: Json;
}

export async function createFilter(tenantId: string, body: NewFilter): Promise<void> {
  await request(filterSchema, `/api/v1/stable/tenants/${tenantId}/filters`, { method: "POST", body });
}

export async function changeFilter(tenantId: string, id: string, body: Omit<NewFilter, "workflowId">): Promise<void> {
  await request(filterSchema, `/api/v1/stable/tenants/${tenantId}/filters/${id}`, { method: "PATCH", body });
}

export async function deleteFilter(tenantId: string, id: string): Promise<void> {
  await request(z.unknown(), `/api/v1/stable/tenants/${tenantId}/filters/${id}`, { method: "DELETE" });
}

const trialSchema = z.object({ status: z.enum(["SUCCESS", "ERROR"]), output: orNull(z.boolean()), error: orNull(z.string()) });
export type Trial = z.output<typeof trialSchema>;

/** What the expression says to an event with this payload. */
export async function tryExpression(tenantId: string, expression: string, input: Json, filterPayload: Json): Promise<Trial> {
  return request(trialSchema, `/api/v1/stable/tenants/${tenantId}/cel/debug`, {
    method: "POST",
    body: { expression, input, filterPayload },
  });
}

/** What an expression says of a payload, before an event with it is sent. */
export function trialQuery(tenantId: string, expression: string, input: Readonly<Record<string, unknown>>) {
  return queryOptions({
    queryKey: ["trial", tenantId, expression, input],
    queryFn: () => tryExpression(tenantId, expression, input, {}),
    staleTime: Infinity,
    meta: { isConstant: true },
  });
}

// Webhooks -----------------------------------------------------------------------------------------------------------

const webhookSchema = z.object({
  metadata: resourceMeta,
  name: z.string(),
  sourceName: z.enum(["GENERIC", "GITHUB", "STRIPE", "SLACK", "LINEAR", "SVIX"]),
  eventKeyExpression: z.string(),
  scopeExpression: orNull(z.string()),
  staticPayload: orNull(payload),
  authType: z.enum(["BASIC", "API_KEY", "HMAC"]),
});
export type Webhook = z.output<typeof webhookSchema>;
export type WebhookSource = Webhook["sourceName"];

const failureSchema = z.object({ webhookName: z.string(), reason: z.string(), message: z.string(), at: instantMs });
export type WebhookFailure = z.output<typeof failureSchema>;

export function webhooksQuery(tenantId: string) {
  return pagedQuery(["webhooks", tenantId], `/api/v1/stable/tenants/${tenantId}/webhooks`, webhookSchema);
}

export function webhookFailuresQuery(tenantId: string) {
  return pagedQuery(["webhook-failures", tenantId], `/api/v1/stable/tenants/${tenantId}/webhook-failures`, failureSchema);
}

/** Where the other service sends its requests. */
export function webhookUrl(tenantId: string, name: string): string {
  return `${window.location.origin}/api/v1/stable/tenants/${tenantId}/webhooks/${encodeURIComponent(name)}`;
}

export type WebhookAuth =
  | { readonly authType: "BASIC"; readonly auth: { readonly username: string; readonly password: string } }
  | { readonly authType: "API_KEY"; readonly auth: { readonly headerName: string; readonly apiKey: string } }
  | {
      readonly authType: "HMAC";
      readonly auth: {
        readonly algorithm: string;
        readonly encoding: string;
        readonly signatureHeaderName: string;
        readonly signingSecret: string;
      };
    };

export type NewWebhook = WebhookAuth & {
  readonly sourceName: WebhookSource;
  readonly name: string;
  readonly eventKeyExpression: string;
};

export async function createWebhook(tenantId: string, body: NewWebhook): Promise<void> {
  await request(webhookSchema, `/api/v1/stable/tenants/${tenantId}/webhooks`, { method: "POST", body });
}

/** How senders prove themselves cannot be changed. An empty expression of the scope, and an empty payload, take it away. */
export async function changeWebhook(
  tenantId: string,
  name: string,
  body: { readonly eventKeyExpression: string; readonly scopeExpression: string; readonly staticPayload: JsonObject },
): Promise<void> {
  const path = `/api/v1/stable/tenants/${tenantId}/webhooks/${encodeURIComponent(name)}`;
  await request(webhookSchema, path, { method: "PATCH", body });
}

export async function deleteWebhook(tenantId: string, name: string): Promise<void> {
  const path = `/api/v1/stable/tenants/${tenantId}/webhooks/${encodeURIComponent(name)}`;
  await request(z.unknown(), path, { method: "DELETE" });
}
