/**
 * The wire shapes this dashboard reads, and what it turns them into.
 *
 * Instants become epoch milliseconds (plain numbers, so that cached data can be compared structurally from answer to answer);
 * a key that is missing or null becomes null. Enumerations that decide what a person sees are closed; the type of a
 * task event is open, because an unknown event is better shown by its name than not at all.
 */
import { z } from "zod";

import { ROLES } from "./roles";

export const instantMs = z.string().transform((text, context) => {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) {
    context.addIssue({ code: "custom", message: `not a timestamp: ${text.slice(0, 40)}` });
    return z.NEVER;
  }
  return ms;
});

export function orNull<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? null);
}

export const payload = z.record(z.string(), z.unknown());

export function rowsOf<Schema extends z.ZodType>(schema: Schema) {
  return z.array(schema).nullish().transform((rows) => rows ?? []);
}

export const RUN_STATUSES = ["QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"] as const;
export const runStatusSchema = z.enum(RUN_STATUSES);
export type RunStatus = z.output<typeof runStatusSchema>;

export const resourceMeta = z.object({ id: z.string(), createdAt: instantMs, updatedAt: instantMs });

/** The replica that people's reads go to while it has everything; `lagSeconds` says how old its newest commit is. */
const readReplicaSchema = z.object({ state: z.enum(["IN_USE", "BEHIND", "AWAY"]), lagSeconds: z.number() });
export type ReadReplica = z.output<typeof readReplicaSchema>;

export const metaSchema = z.object({
  authDisabled: z.boolean().nullish().transform((value) => value ?? false),
  /** Nobody can sign in yet: the first account is still to be made. */
  setupNeeded: z.boolean().nullish().transform((value) => value ?? false),
  /** A forgotten password is set anew by a link that is mailed. */
  resetByMail: z.boolean().nullish().transform((value) => value ?? false),
  entryLinkPrinted: z.boolean().nullish().transform((value) => value ?? false),
  /** What SDKs have to use at the engine's gRPC address; null if the engine cannot know. */
  grpcTlsStrategy: orNull(z.enum(["none", "tls", "mtls"])),
  /** Set where there is no engine, but the file of a run that somebody opened. */
  openedFile: orNull(z.string()),
  readReplica: orNull(readReplicaSchema),
});

export const userSchema = z.object({ email: z.string(), name: orNull(z.string()) });
export type User = z.output<typeof userSchema>;

const tenantSchema = z.object({ metadata: resourceMeta, name: z.string(), slug: z.string() });

export const membershipsSchema = z.object({
  rows: rowsOf(z.object({ role: z.enum(ROLES), tenant: orNull(tenantSchema) })),
});

const paginationSchema = z.object({ current_page: orNull(z.int()), num_pages: orNull(z.int()) });

const taskSchema = z.object({
  taskExternalId: z.string(),
  workflowRunExternalId: z.string(),
  displayName: z.string(),
  status: runStatusSchema,
  createdAt: instantMs,
  startedAt: orNull(instantMs),
  finishedAt: orNull(instantMs),
  duration: orNull(z.int()),
  workflowId: z.string(),
  workflowName: orNull(z.string()),
  stepId: orNull(z.string()),
  actionId: orNull(z.string()),
  attempt: z.int().nullish().transform((value) => value ?? 1),
  numSpawnedChildren: z.int().nullish().transform((value) => value ?? 0),
  isEvicted: z.boolean().nullish().transform((value) => value ?? false),
  idempotencyKey: orNull(z.string()),
  parentTaskExternalId: orNull(z.string()),
  input: payload,
  output: payload,
  errorMessage: orNull(z.string()),
  additionalMetadata: payload.nullish().transform((value) => value ?? {}),
  payloadsRestricted: z.boolean().nullish().transform((value) => value ?? false),
});

export const taskSummarySchema = taskSchema;
export type TaskSummary = z.output<typeof taskSummarySchema>;

export const runListSchema = z.object({ pagination: paginationSchema, rows: z.array(taskSchema) });

export const runMetricsSchema = z.array(z.object({ status: runStatusSchema, count: z.int() }));

const taskEventSchema = z.object({
  id: z.int(),
  taskId: z.string(),
  timestamp: instantMs,
  eventType: z.string(),
  message: z.string().nullish().transform((value) => value ?? ""),
  errorMessage: orNull(z.string()),
  workerId: orNull(z.string()),
  taskDisplayName: orNull(z.string()),
  attempt: orNull(z.int()),
});
export type TaskEvent = z.output<typeof taskEventSchema>;

const shapeItemSchema = z.object({
  taskExternalId: z.string(),
  stepId: z.string(),
  childrenStepIds: rowsOf(z.string()),
  taskName: z.string(),
});
export type ShapeItem = z.output<typeof shapeItemSchema>;

const definedTaskSchema = z.object({
  id: z.string(),
  name: z.string(),
  parents: rowsOf(z.string()),
  retries: z.int().nullish().transform((value) => value ?? 0),
  execution_timeout_us: orNull(z.number()),
  schedule_timeout_us: orNull(z.number()),
  is_durable: z.boolean().nullish().transform((value) => value ?? false),
  labels: rowsOf(payload),
});
export type DefinedTask = z.output<typeof definedTaskSchema>;

/** The definition a run was made from, as far as the page of a run speaks of it; one that cannot be read is none. */
const definitionSchema = z
  .object({ tasks: rowsOf(definedTaskSchema), on_failure: orNull(definedTaskSchema), sticky: orNull(z.string()) })
  .nullable()
  .catch(null);

export const runDetailsSchema = z.object({
  run: z.object({
    metadata: resourceMeta,
    status: runStatusSchema,
    displayName: z.string(),
    workflowId: z.string(),
    createdAt: orNull(instantMs),
    startedAt: orNull(instantMs),
    finishedAt: orNull(instantMs),
    duration: orNull(z.int()),
    input: payload,
    output: payload,
    errorMessage: orNull(z.string()),
    additionalMetadata: payload.nullish().transform((value) => value ?? {}),
    payloadsRestricted: z.boolean().nullish().transform((value) => value ?? false),
    parentTaskExternalId: orNull(z.string()),
    workflowVersionId: orNull(z.string()),
  }),
  workflowConfig: definitionSchema.nullish().transform((value) => value ?? null),
  taskEvents: z.array(taskEventSchema),
  shape: z.array(shapeItemSchema),
  tasks: z.array(taskSchema),
});
export type RunDetails = z.output<typeof runDetailsSchema>;

export const actionResultSchema = z.object({ ids: rowsOf(z.string()) });

export const workerSchema = z.object({
  metadata: resourceMeta,
  name: z.string(),
  status: z.enum(["ACTIVE", "INACTIVE", "PAUSED"]).nullish().transform((value) => value ?? "INACTIVE"),
  pausedBy: orNull(z.string()),
  lastHeartbeatAt: orNull(instantMs),
  actions: rowsOf(z.string()),
  labels: rowsOf(z.object({ key: z.string(), value: z.string() })),
  slots: rowsOf(
    z.object({ stepRunId: z.string(), actionId: z.string(), workflowRunId: z.string(), startedAt: orNull(instantMs) }),
  ),
  registeredWorkflows: rowsOf(z.object({ id: z.string(), name: z.string() })),
  lastListenerEstablished: orNull(instantMs),
  slotConfig: z
    .record(z.string(), z.object({ limit: z.int(), available: orNull(z.int()) }))
    .nullish()
    .transform((value) => value ?? {}),
  runtimeInfo: orNull(
    z.object({
      language: orNull(z.string()),
      sdkVersion: orNull(z.string()),
      languageVersion: orNull(z.string()),
      os: orNull(z.string()),
      runtimeExtra: orNull(z.string()),
    }),
  ),
});
export type Worker = z.output<typeof workerSchema>;
export const workerListSchema = z.object({ rows: rowsOf(workerSchema) });
export const workerUpdateSchema = workerSchema;

export const workflowSchema = z.object({
  metadata: resourceMeta,
  name: z.string(),
  description: orNull(z.string()),
  isPaused: z.boolean().nullish().transform((value) => value ?? false),
  pausedAt: orNull(instantMs),
  pausedBy: orNull(z.string()),
  pausedWorkflowCronRunQueueBehavior: orNull(z.enum(["DROP", "QUEUE"])),
  pausedWorkflowScheduledRunQueueBehavior: orNull(z.enum(["DROP", "QUEUE"])),
});
export type Workflow = z.output<typeof workflowSchema>;
export const workflowListSchema = z.object({ pagination: paginationSchema.nullish(), rows: rowsOf(workflowSchema) });

/** A workflow with what its versions are called, the newest first. */
export const workflowDetailsSchema = workflowSchema.extend({
  versions: rowsOf(z.object({ metadata: resourceMeta, version: z.string(), order: z.int() })),
});
export type WorkflowDetails = z.output<typeof workflowDetailsSchema>;

export const workflowVersionSchema = z.object({
  metadata: resourceMeta,
  version: z.string(),
  order: z.int(),
  triggers: z.object({ events: rowsOf(z.object({ event_key: z.string() })), crons: rowsOf(payload) }),
  defaultPriority: z.int(),
  scheduleTimeout: z.string(),
  sticky: orNull(z.enum(["soft", "hard"])),
  v1Concurrency: rowsOf(
    z.object({
      maxRuns: z.int(),
      limitStrategy: z.string(),
      expression: z.string(),
      scope: z.enum(["WORKFLOW", "TASK"]),
      stepReadableId: orNull(z.string()),
    }),
  ),
  workflowConfig: payload,
  inputJsonSchema: orNull(payload),
});
export type WorkflowVersion = z.output<typeof workflowVersionSchema>;

export const versionSchema = z.object({ version: z.string() });
