/**
 * Answers of an engine as they look on the wire, for tests that drive whole pages. Only what a test cares about is
 * spelled out.
 */

export const TENANT_ID = "707d0855-80ab-4e1f-a156-f1c4546cbf52";
export const RUN_ID = "0b1d2c3e-0000-4000-8000-000000000001";
export const EXTRACT_ID = "0b1d2c3e-0000-4000-8000-000000000002";
export const LOAD_ID = "0b1d2c3e-0000-4000-8000-000000000003";
export const WORKFLOW_ID = "5d1f6f3a-0000-4000-8000-0000000000aa";
export const WORKER_ID = "9c1d2c3e-0000-4000-8000-000000000003";
const EXTRACT_STEP_ID = "5d1f6f3a-0000-4000-8000-0000000000ac";
const LOAD_STEP_ID = "5d1f6f3a-0000-4000-8000-0000000000ad";
const NIL_UUID = "00000000-0000-0000-0000-000000000000";

type Json = Readonly<Record<string, unknown>>;

const CREATED_AT = "2025-01-31T09:15:00.123456Z";
const STARTED_AT = "2025-01-31T09:15:00.223456Z";
const FINISHED_AT = "2025-01-31T09:15:02.223456Z";

function metadata(id: string): Json {
  return { id, createdAt: CREATED_AT, updatedAt: CREATED_AT };
}

export const META_OPEN = { auth: { schemes: ["basic"] }, authDisabled: true };
export const META_WITH_LOGIN = { auth: { schemes: ["basic"] } };
export const USER = { metadata: metadata("b1b2c3b4-0000-4000-8000-000000000001"), email: "ada@example.com", emailVerified: true };
export const MEMBERSHIPS = {
  rows: [
    {
      metadata: metadata("a1a2c3b4-0000-4000-8000-000000000001"),
      user: { email: "ada@example.com" },
      role: "OWNER",
      tenant: { metadata: metadata(TENANT_ID), name: "Default", slug: "default", version: "V1" },
    },
  ],
};
export const WORKFLOWS = {
  pagination: { current_page: 1, next_page: 1, num_pages: 1 },
  rows: [{ metadata: metadata(WORKFLOW_ID), name: "etl", tenantId: TENANT_ID, isPaused: true }],
};
export const WORKERS = {
  pagination: { current_page: 1, next_page: 1, num_pages: 1 },
  rows: [
    {
      metadata: metadata(WORKER_ID),
      name: "worker-a",
      type: "SELFHOSTED",
      status: "ACTIVE",
      lastHeartbeatAt: CREATED_AT,
      actions: ["etl:extract", "etl:load"],
      slots: [],
      slotConfig: { default: { limit: 100, available: 99 } },
      labels: [],
      runtimeInfo: { language: "PYTHON", sdkVersion: "1.43.1", languageVersion: "3.11.9", os: "linux" },
    },
  ],
};

export function taskRow(changes: Json = {}): Json {
  return {
    metadata: metadata(EXTRACT_ID),
    createdAt: CREATED_AT,
    displayName: "extract-1738314900123",
    status: "COMPLETED",
    type: "TASK",
    input: { input: { n: 1 }, parents: {} },
    output: { rows: 42 },
    numSpawnedChildren: 0,
    taskExternalId: EXTRACT_ID,
    taskId: 41,
    taskInsertedAt: CREATED_AT,
    tenantId: TENANT_ID,
    workflowId: WORKFLOW_ID,
    workflowName: "etl",
    workflowRunExternalId: RUN_ID,
    stepId: EXTRACT_STEP_ID,
    actionId: "etl:extract",
    startedAt: STARTED_AT,
    finishedAt: FINISHED_AT,
    duration: 2000,
    retryCount: 0,
    attempt: 1,
    additionalMetadata: {},
    ...changes,
  };
}

export function runRow(changes: Json = {}): Json {
  return taskRow({
    metadata: metadata(RUN_ID),
    displayName: "etl-1738314900123",
    type: "DAG",
    input: {},
    output: {},
    taskExternalId: RUN_ID,
    taskId: 0,
    stepId: NIL_UUID,
    additionalMetadata: { customer: "acme" },
    ...changes,
  });
}

export function runList(rows: readonly Json[], pageCount = 1): Json {
  return { pagination: { current_page: 1, next_page: 2, num_pages: pageCount }, rows };
}

export function metrics(counts: Readonly<Record<string, number>>): readonly Json[] {
  return ["CANCELLED", "COMPLETED", "FAILED", "QUEUED", "RUNNING"].map((status) => ({ status, count: counts[status] ?? 0 }));
}

export function event(id: number, eventType: string, timestamp: string, changes: Json = {}): Json {
  return { id, taskId: EXTRACT_ID, timestamp, eventType, message: "", retryCount: 0, attempt: 1, ...changes };
}

/** A run of two steps: `extract` is done, `load` failed on its second attempt. */
export function failedRun(): Json {
  return {
    run: {
      metadata: metadata(RUN_ID),
      status: "FAILED",
      tenantId: TENANT_ID,
      displayName: "etl-1738314900123",
      workflowId: WORKFLOW_ID,
      input: { n: 1 },
      output: {},
      additionalMetadata: { customer: "acme" },
      createdAt: CREATED_AT,
      startedAt: STARTED_AT,
      finishedAt: FINISHED_AT,
      duration: 2000,
    },
    taskEvents: [
      event(1, "QUEUED", "2025-01-31T09:15:00.124000Z"),
      event(2, "STARTED", STARTED_AT),
      event(3, "FINISHED", "2025-01-31T09:15:01.223456Z"),
      event(4, "FAILED", FINISHED_AT, { taskId: LOAD_ID, errorMessage: "ValueError: no such table", attempt: 2 }),
    ],
    shape: [
      { taskExternalId: EXTRACT_ID, stepId: EXTRACT_STEP_ID, childrenStepIds: [LOAD_STEP_ID], taskName: "extract" },
      { taskExternalId: LOAD_ID, stepId: LOAD_STEP_ID, childrenStepIds: [], taskName: "load" },
    ],
    tasks: [
      taskRow(),
      taskRow({
        metadata: metadata(LOAD_ID),
        taskExternalId: LOAD_ID,
        stepId: LOAD_STEP_ID,
        displayName: "load-1738314900123",
        status: "FAILED",
        output: {},
        errorMessage: "ValueError: no such table",
        retryCount: 1,
        attempt: 2,
      }),
    ],
    workflowConfig: {},
  };
}

/** The same run before `extract` finished: `load` does not exist yet. */
export function liveRun(): Json {
  const failed = failedRun() as { run: Json; shape: readonly Json[]; taskEvents: readonly Json[] };
  const unfinished = { status: "RUNNING", finishedAt: undefined, duration: undefined };
  return {
    run: { ...failed.run, ...unfinished },
    taskEvents: failed.taskEvents.slice(0, 2),
    shape: failed.shape.map((item) => (item["taskName"] === "load" ? { ...item, taskExternalId: NIL_UUID } : item)),
    tasks: [taskRow({ ...unfinished, output: {} })],
    workflowConfig: {},
  };
}

/** What is remembered of a run that a person started. */
export function runFacts(changes: Json = {}): Json {
  return {
    priority: 1,
    version: "v1",
    versionOrder: 1,
    isLatestVersion: true,
    origin: { kind: "TRIGGER" },
    concurrency: [],
    rateLimits: [],
    workers: [{ id: WORKER_ID, name: "worker-a" }],
    ...changes,
  };
}

export const LOGS = {
  pagination: { current_page: 0, next_page: 0, num_pages: 0 },
  rows: [
    { createdAt: "2025-01-31T09:15:01.500000Z", message: "second line", metadata: {}, level: "WARN", attempt: 1, taskExternalId: EXTRACT_ID, taskDisplayName: "extract-1" },
    { createdAt: "2025-01-31T09:15:01.000000Z", message: "first line", metadata: {}, attempt: 1, taskExternalId: EXTRACT_ID, taskDisplayName: "extract-1" },
  ],
};
