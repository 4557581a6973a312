/** Alerts: rules, the channels they tell, what they told of, and each message with what came of it. */
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, resourceMeta } from "./schemas";

export type AlertKind =
  | "RUN_FAILED"
  | "FAILURE_RATE"
  | "CRON_MISSED"
  | "QUEUE_AGE"
  | "NO_WORKER"
  | "LIMIT_NEARLY_USED"
  | "TOKEN_EXPIRING"
  | "NODE_LOST";

export interface KnownKind {
  readonly kind: AlertKind;
  readonly label: string;
  /** What the threshold is; null: rules of the kind have none. */
  readonly threshold: string | null;
  readonly unit: string;
  readonly usual: number;
  /** What the window is; null: it means nothing for the kind. */
  readonly within: string | null;
  readonly window: string;
  /** Whether it is about workflows, and not about the whole tenant. */
  readonly isOfWorkflows: boolean;
}

const WITHIN = "Within";
/** What a rule can watch, with what its numbers mean. A kind that is not here is shown by its name. */
export const ALERT_KINDS: readonly [KnownKind, ...KnownKind[]] = [
  { kind: "RUN_FAILED", label: "Failed runs", threshold: "Failed runs", unit: "", usual: 1, within: WITHIN, window: "5m", isOfWorkflows: true },
  { kind: "FAILURE_RATE", label: "Share of failed runs", threshold: "Percent that failed", unit: " %", usual: 20, within: WITHIN, window: "1h", isOfWorkflows: true },
  { kind: "QUEUE_AGE", label: "Old queue", threshold: null, unit: "", usual: 1, within: "A task waits for", window: "10m", isOfWorkflows: true },
  { kind: "NO_WORKER", label: "No worker", threshold: null, unit: "", usual: 1, within: "None listens for", window: "5m", isOfWorkflows: true },
  { kind: "CRON_MISSED", label: "Missed crons", threshold: "Missed ticks", unit: "", usual: 1, within: WITHIN, window: "1h", isOfWorkflows: true },
  { kind: "LIMIT_NEARLY_USED", label: "Limit nearly used", threshold: "Percent that are used", unit: " %", usual: 80, within: null, window: "5m", isOfWorkflows: false },
  { kind: "TOKEN_EXPIRING", label: "Expiring API token", threshold: null, unit: "", usual: 1, within: "It ends within", window: "168h", isOfWorkflows: false },
  { kind: "NODE_LOST", label: "Lost node", threshold: null, unit: "", usual: 1, within: "Not heard of for", window: "1m", isOfWorkflows: false },
];

/** The numbers of a rule, in a few words. */
export function boundOf(rule: AlertRule): string {
  const known = ALERT_KINDS.find((each) => each.kind === rule.kind);
  if (known === undefined) return `${String(rule.threshold)} within ${rule.window}`;
  const number = known.threshold === null ? "" : `${String(rule.threshold)}${known.unit}`;
  if (known.within === null) return number;
  return number === "" ? rule.window : `${number} within ${rule.window}`;
}

export const CHANNEL_KINDS = [
  { kind: "WEBHOOK", label: "Webhook" },
  { kind: "SLACK", label: "Slack" },
  { kind: "PAGERDUTY", label: "PagerDuty" },
  { kind: "EMAIL", label: "Mail" },
] as const;
export type ChannelKind = (typeof CHANNEL_KINDS)[number]["kind"];

export function kindLabel(kind: string): string {
  return ALERT_KINDS.find((known) => known.kind === kind)?.label ?? kind;
}

export function channelKindLabel(kind: string): string {
  return CHANNEL_KINDS.find((known) => known.kind === kind)?.label ?? kind;
}

const ruleSchema = z.object({
  metadata: resourceMeta,
  name: z.string(),
  kind: z.string(),
  workflow: z.string(),
  threshold: z.number(),
  window: z.string(),
  quiet: z.string(),
  channels: z.array(z.string()),
  isEnabled: z.boolean(),
  template: z.string(),
  firing: z.number(),
});
export type AlertRule = z.output<typeof ruleSchema>;

const channelSchema = z.object({
  metadata: resourceMeta,
  name: z.string(),
  kind: z.string(),
  target: z.string(),
  rules: z.array(z.string()),
});
export type AlertChannel = z.output<typeof channelSchema>;

const newChannelSchema = channelSchema.extend({ secret: orNull(z.string()) });
export type MadeChannel = z.output<typeof newChannelSchema>;

const alertSchema = z.object({
  id: z.string(),
  ruleId: z.string(),
  rule: z.string(),
  kind: z.string(),
  subject: z.string(),
  status: z.enum(["FIRING", "RESOLVED"]),
  openedAt: instantMs,
  lastAt: instantMs,
  resolvedAt: orNull(instantMs),
  count: z.number(),
  runId: orNull(z.string()),
  error: orNull(z.string()),
});
export type Alert = z.output<typeof alertSchema>;

const deliverySchema = z.object({
  id: z.string(),
  channel: orNull(z.string()),
  occasion: z.string(),
  title: z.string(),
  status: z.enum(["WAITING", "DELIVERED", "FAILED"]),
  attempts: z.number(),
  createdAt: instantMs,
  nextAt: orNull(instantMs),
  endedAt: orNull(instantMs),
  error: orNull(z.string()),
});
export type AlertDelivery = z.output<typeof deliverySchema>;

const base = (tenantId: string) => `/api/v1/stable/tenants/${tenantId}`;

export const alertRulesQuery = (tenantId: string) => pagedQuery(["alert-rules", tenantId], `${base(tenantId)}/alert-rules`, ruleSchema);
export const alertChannelsQuery = (tenantId: string) =>
  pagedQuery(["alert-channels", tenantId], `${base(tenantId)}/alert-channels`, channelSchema);
export const alertsQuery = (tenantId: string) => pagedQuery(["alerts", tenantId], `${base(tenantId)}/alerts`, alertSchema);
export const alertDeliveriesQuery = (tenantId: string) =>
  pagedQuery(["alert-deliveries", tenantId], `${base(tenantId)}/alert-deliveries`, deliverySchema);

export interface RuleBody {
  readonly name: string;
  readonly kind: AlertKind;
  readonly workflow: string;
  readonly threshold: number;
  readonly window: string;
  readonly quiet: string;
  readonly channels: readonly string[];
  readonly template: string;
}

export async function putRule(tenantId: string, ruleId: string | null, body: RuleBody): Promise<void> {
  const path = `${base(tenantId)}/alert-rules${ruleId === null ? "" : `/${ruleId}`}`;
  await request(ruleSchema, path, { method: ruleId === null ? "POST" : "PATCH", body });
}

export async function enableRule(tenantId: string, ruleId: string, isEnabled: boolean): Promise<void> {
  await request(ruleSchema, `${base(tenantId)}/alert-rules/${ruleId}`, { method: "PATCH", body: { isEnabled } });
}

export async function deleteRule(tenantId: string, ruleId: string): Promise<void> {
  await request(ruleSchema, `${base(tenantId)}/alert-rules/${ruleId}`, { method: "DELETE" });
}

export type ChannelBody = Readonly<Record<string, string | readonly string[]>>;

export function createChannel(tenantId: string, body: ChannelBody): Promise<MadeChannel> {
  return request(newChannelSchema, `${base(tenantId)}/alert-channels`, { method: "POST", body });
}

export async function deleteChannel(tenantId: string, channelId: string): Promise<void> {
  await request(channelSchema, `${base(tenantId)}/alert-channels/${channelId}`, { method: "DELETE" });
}

/** Answers at once; what came of it is among the messages. */
export async function testChannel(tenantId: string, channelId: string): Promise<void> {
  await request(z.object({ id: z.string() }), `${base(tenantId)}/alert-channels/${channelId}/test`, { method: "POST" });
}
