/**
 * The part of each page's state that lives in its address, one schema per route. A hand-edited or outdated address
 * never breaks a page: what cannot be understood falls back to the default.
 */
import { z } from "zod";

import { PLACES, RUN_CAUSES } from "../search/grammar";
import { AUDIT_ACTIONS } from "../services/audit";
import { RUN_STATUSES } from "../services/schemas";
import { LOG_LEVELS } from "../services/tenantLogs";
import { COMING_KINDS } from "../services/waiting";

export const TIME_WINDOWS = ["1h", "6h", "24h", "7d", "30d"] as const;
export type TimeWindow = (typeof TIME_WINDOWS)[number];
export const DEFAULT_WINDOW: TimeWindow = "24h";

const HOUR_MS = 3_600_000;
export const WINDOW_MS: Readonly<Record<TimeWindow, number>> = {
  "1h": HOUR_MS,
  "6h": 6 * HOUR_MS,
  "24h": 24 * HOUR_MS,
  "7d": 7 * 24 * HOUR_MS,
  "30d": 30 * 24 * HOUR_MS,
};

export const WINDOW_LABELS: Readonly<Record<TimeWindow, string>> = {
  "1h": "Last hour",
  "6h": "Last 6 hours",
  "24h": "Last 24 hours",
  "7d": "Last 7 days",
  "30d": "Last 30 days",
};

/** A list in an address: one value alone is as good as a list of one. */
function listOf<Schema extends z.ZodType>(item: Schema) {
  return z
    .union([z.array(item), item.transform((value) => [value])])
    .optional()
    .catch(undefined);
}

const instant = z.iso.datetime({ offset: true }).optional().catch(undefined);

const text = z.string().min(1).max(1_000).optional().catch(undefined);

const id = z.uuid().optional().catch(undefined);
const name = z.string().min(1).max(255);

/** Like `listOf`, and words with commas between are several. */
function wordsOf<Schema extends z.ZodType<string, string>>(item: Schema) {
  const several = z.string().transform((words) => words.split(",")).pipe(z.array(item));
  return z
    .union([z.array(item), several])
    .optional()
    .catch(undefined);
}

export const RUN_WINDOWS = [...TIME_WINDOWS, "all"] as const;
export type RunWindow = (typeof RUN_WINDOWS)[number];

/** Orders of the run list, beside newest first. All but the oldest first order what is shown, not all there is. */
export const RUN_ORDERS = ["oldest", "longest", "shortest"] as const;
export type RunOrder = (typeof RUN_ORDERS)[number];

/**
 * Everything is optional so that the plain address means the defaults and stays plain. `metadata` is `key:value`, `any`
 * says that one pair will do, a workflow is named or given by its id, and `peek` is the run in the side panel.
 */
export const runsSearchSchema = z.object({
  status: wordsOf(z.enum(RUN_STATUSES)),
  workflow: wordsOf(name),
  metadata: listOf(z.string().max(1_000).regex(/:/)),
  any: z.literal(true).optional().catch(undefined),
  running: z.enum(PLACES).optional().catch(undefined),
  cause: wordsOf(z.enum(RUN_CAUSES)),
  id: z.coerce.string<string | number>().regex(/^[0-9a-f-]{1,36}$/i).optional().catch(undefined),
  event: id,
  parent: id,
  worker: id,
  key: listOf(z.string().min(1).max(1_000)),
  input: listOf(z.string().max(1_000).regex(/=/)),
  output: listOf(z.string().max(1_000).regex(/=/)),
  text: z.coerce.string<string | number>().min(1).max(200).optional().catch(undefined),
  window: z.enum(RUN_WINDOWS).optional().catch(undefined),
  from: instant,
  to: instant,
  tasks: z.literal(true).optional().catch(undefined),
  order: z.enum(RUN_ORDERS).optional().catch(undefined),
  peek: id,
});
export type RunsSearch = z.output<typeof runsSearchSchema>;

export const errorsSearchSchema = z.object({
  window: z.enum(RUN_WINDOWS).optional().catch(undefined),
  from: instant,
  to: instant,
});
export type ErrorsSearch = z.output<typeof errorsSearchSchema>;

/** `range` is not called `window`: that one belonged to the run list when it stood at the same address. */
export const overviewSearchSchema = z.object({ range: z.enum(TIME_WINDOWS).optional().catch(undefined) });

/** Without a topic the page lists them. */
export const streamsSearchSchema = z.object({ search: text, topic: text, namespace: text });

export const namedSearchSchema = z.object({ search: text });

export const workersSearchSchema = z.object({ status: listOf(z.enum(["ACTIVE", "PAUSED", "INACTIVE"])), label: text });
export type WorkersSearch = z.output<typeof workersSearchSchema>;

/** `against` is the version that the shown one is compared with. */
export const workflowSearchSchema = z.object({
  version: z.uuid().optional().catch(undefined),
  against: z.uuid().optional().catch(undefined),
});

export const ofWorkflowSearchSchema = z.object({ workflow: z.uuid().optional().catch(undefined) });

export const eventsSearchSchema = z.object({
  key: text,
  scope: text,
  metadata: text,
  window: z.enum(TIME_WINDOWS).optional().catch(undefined),
});
export type EventsSearch = z.output<typeof eventsSearchSchema>;

/** `run` is the id of a run or of a task. `from` and `to` are a part of the window that was chosen in the chart. */
export const logsSearchSchema = z.object({
  search: text,
  level: listOf(z.enum(LOG_LEVELS)),
  workflow: z.uuid().optional().catch(undefined),
  run: z.uuid().optional().catch(undefined),
  window: z.enum(TIME_WINDOWS).optional().catch(undefined),
  from: instant,
  to: instant,
});
export const auditSearchSchema = z.object({
  action: z.enum(AUDIT_ACTIONS).optional().catch(undefined),
  /** Id of an account or a token. */
  who: text,
  /** Id of what it was done to. */
  what: text,
  refused: z.boolean().optional().catch(undefined),
});
export const ALERT_TABS = ["history", "rules", "channels", "messages"] as const;
export const alertsSearchSchema = z.object({ tab: z.enum(ALERT_TABS).optional().catch(undefined) });

export type AuditSearch = z.output<typeof auditSearchSchema>;

export type LogsSearch = z.output<typeof logsSearchSchema>;

export const concurrencySearchSchema = z.object({ search: text, workflow: z.uuid().optional().catch(undefined) });

export const upcomingSearchSchema = z.object({ kind: listOf(z.enum(COMING_KINDS)) });

/**
 * `task` is the external id of the task whose details are open, `tab` which of them, `data` the same of the whole run, `round`
 * which replay the timeline shows (0 is the first run).
 */
export const runSearchSchema = z.object({
  task: z.string().max(36).optional().catch(undefined),
  tab: z.string().max(20).optional().catch(undefined),
  data: z.string().max(20).optional().catch(undefined),
  round: z.int().min(0).optional().catch(undefined),
});

/** `least` is a duration in milliseconds. */
export const tracesSearchSchema = z.object({
  name: text,
  service: text,
  failed: z.boolean().optional().catch(undefined),
  least: z.int().min(0).optional().catch(undefined),
  window: z.enum(TIME_WINDOWS).optional().catch(undefined),
});
export type TracesSearch = z.output<typeof tracesSearchSchema>;

/** Only a path of this site is a place to go after signing in; anything else would be an open redirect. */
export const loginSearchSchema = z.object({
  next: z
    .string()
    .regex(/^\/(?![/\\])/)
    .optional()
    .catch(undefined),
});
