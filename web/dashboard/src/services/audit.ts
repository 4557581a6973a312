/** The audit log: who did what to what, as the engine wrote it down. */
import { z } from "zod";

import { pagedQuery } from "./pages";
import { instantMs, orNull } from "./schemas";

/** What people can look for, by what it is done to. An action that is not here is shown all the same. */
export const AUDIT_ACTIONS = [
  "access.refused",
  "account.add_second_factor",
  "account.ask_reset",
  "account.change_password",
  "account.end_sessions",
  "account.log_in",
  "account.log_out",
  "account.operator",
  "account.remove_second_factor",
  "account.reset_password",
  "alert_channel.change",
  "alert_channel.create",
  "alert_channel.delete",
  "alert_rule.change",
  "alert_rule.create",
  "alert_rule.delete",
  "cron.backfill",
  "cron.change",
  "cron.create",
  "cron.delete",
  "cron.run",
  "event.push",
  "filter.change",
  "filter.create",
  "filter.delete",
  "invite.accept",
  "invite.change",
  "invite.create",
  "invite.reject",
  "invite.renew",
  "invite.revoke",
  "limits.change",
  "member.add",
  "member.change",
  "member.remove",
  "node.drain",
  "node.undrain",
  "rate_limit.delete",
  "rate_limit.pause",
  "rate_limit.put",
  "run.branch",
  "run.cancel",
  "run.replay",
  "run.restore",
  "run.trigger",
  "schedule.create",
  "schedule.delete",
  "schedule.move",
  "schedule.run",
  "tenant.change",
  "tenant.create",
  "tenant.delete",
  "token.create",
  "token.revoke",
  "token.rotate",
  "token.use",
  "webhook.change",
  "webhook.create",
  "webhook.delete",
  "worker.pause",
  "worker.unpause",
  "workflow.delete",
  "workflow.pause",
  "workflow.register",
  "workflow.unpause",
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

const changes = orNull(z.record(z.string(), z.unknown()));

const entrySchema = z.object({
  id: z.string(),
  at: instantMs,
  initiator: z.object({ kind: z.string(), id: orNull(z.string()), name: z.string(), address: orNull(z.string()) }),
  action: z.string(),
  object: z.object({ id: orNull(z.string()), name: orNull(z.string()) }),
  before: changes,
  after: changes,
  refusal: orNull(z.string()),
});
export type AuditEntry = z.output<typeof entrySchema>;

export interface AuditFilter {
  readonly action: AuditAction | null;
  /** Id of an account or a token. */
  readonly initiator: string | null;
  /** Id of what it was done to. */
  readonly object: string | null;
  readonly refused: boolean;
}

function queryOf({ action, initiator, object, refused }: AuditFilter) {
  return { action, initiator, object, refused: refused ? true : null };
}

export function auditQuery(tenantId: string, filter: AuditFilter) {
  return pagedQuery(["audit", tenantId], `/api/v1/tenants/${tenantId}/audit`, entrySchema, queryOf(filter));
}

/** Where a browser gets what the filter finds as JSON Lines. */
export function auditExport(tenantId: string, filter: AuditFilter): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(queryOf(filter))) if (value !== null) query.set(name, String(value));
  return `/api/v1/tenants/${tenantId}/audit/export${query.size === 0 ? "" : `?${query.toString()}`}`;
}

/** "rate_limit.put" is "rate limit: put". */
export function wordsOf(action: string): string {
  return action.replaceAll("_", " ").replace(".", ": ");
}

export interface Change {
  readonly name: string;
  /** Null for what was not there, or is not there any more. */
  readonly before: string | null;
  readonly after: string | null;
}

/** What differs between before and after; of what was made or is gone, everything. */
export function changesOf({ before, after }: Pick<AuditEntry, "before" | "after">): Change[] {
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  return [...names]
    .map((name) => ({
      name: name.replace(/_us$/, "").replaceAll("_", " "),
      before: textOf(name, before?.[name]),
      after: textOf(name, after?.[name]),
    }))
    .filter((change) => change.before !== change.after);
}

/** Microseconds beyond this are an instant, others a duration. */
const INSTANT_US_MIN = 1e14;

function textOf(name: string, value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "number" && name.endsWith("_us"))
    return value < INSTANT_US_MIN ? `${(value / 1e6).toLocaleString("en")} s` : new Date(value / 1e3).toISOString();
  if (Array.isArray(value) && value.length > 0) return value.map((one) => textOf(name, one) ?? "–").join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}
