/** Values of the dashboard's own types for tests; only what a test cares about is spelled out. */
import type { RunDetails, TaskEvent, TaskSummary } from "../services/schemas";

export function aTask(changes: Partial<TaskSummary> = {}): TaskSummary {
  return {
    taskExternalId: "0b1d2c3e-0000-4000-8000-000000000002",
    workflowRunExternalId: "0b1d2c3e-0000-4000-8000-000000000001",
    displayName: "extract-1738314900123",
    status: "RUNNING",
    createdAt: 1_000,
    startedAt: 1_200,
    finishedAt: null,
    duration: null,
    workflowId: "5d1f6f3a-0000-4000-8000-0000000000aa",
    workflowName: "etl",
    stepId: "5d1f6f3a-0000-4000-8000-0000000000ac",
    actionId: "etl:extract",
    attempt: 1,
    numSpawnedChildren: 0,
    isEvicted: false,
    idempotencyKey: null,
    parentTaskExternalId: null,
    input: {},
    output: {},
    errorMessage: null,
    additionalMetadata: {},
    payloadsRestricted: false,
    ...changes,
  };
}

export function anEvent(eventType: string, timestamp: number): TaskEvent {
  return {
    id: timestamp,
    taskId: "0b1d2c3e-0000-4000-8000-000000000002",
    timestamp,
    eventType,
    message: "",
    errorMessage: null,
    workerId: null,
    taskDisplayName: null,
    attempt: 1,
  };
}

export function aDetails(changes: Partial<Omit<RunDetails, "run">> = {}): RunDetails {
  return {
    run: {
      metadata: { id: "0b1d2c3e-0000-4000-8000-000000000001", createdAt: 1_000, updatedAt: 1_000 },
      status: "RUNNING",
      displayName: "etl-1738314900123",
      workflowId: "5d1f6f3a-0000-4000-8000-0000000000aa",
      createdAt: 1_000,
      startedAt: 1_200,
      finishedAt: null,
      duration: null,
      input: {},
      output: {},
      errorMessage: null,
      additionalMetadata: {},
      payloadsRestricted: false,
      parentTaskExternalId: null,
      workflowVersionId: null,
    },
    workflowConfig: null,
    taskEvents: [],
    shape: [],
    tasks: [],
    ...changes,
  };
}
