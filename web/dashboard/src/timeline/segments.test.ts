import { expect, test } from "vitest";

import { aTask, anEvent } from "../test/factories";
import { taskSegments } from "./segments";

test("a finished task waited, then ran", () => {
  const events = [anEvent("QUEUED", 1_000), anEvent("STARTED", 1_200), anEvent("FINISHED", 1_900)];
  expect(taskSegments(aTask({ status: "COMPLETED" }), events)).toEqual([
    { kind: "waiting", startMs: 1_000, endMs: 1_200 },
    { kind: "completed", startMs: 1_200, endMs: 1_900 },
  ]);
});

test("every attempt of a retried task has its own bar, also when it ends and waits again in one instant", () => {
  const events = [
    anEvent("FINISHED", 4_000),
    anEvent("QUEUED", 900),
    anEvent("STARTED", 1_000),
    { ...anEvent("FAILED", 1_500), id: 99 },
    { ...anEvent("RETRYING", 1_500), id: 7 },
    anEvent("STARTED", 3_000),
  ];
  expect(taskSegments(aTask({ status: "COMPLETED" }), events).map((segment) => segment.kind)).toEqual([
    "waiting",
    "failed",
    "waiting",
    "completed",
  ]);
});

test("a running task has an open bar", () => {
  const events = [anEvent("QUEUED", 1_000), anEvent("STARTED", 1_200), anEvent("SLOT_RELEASED", 1_300)];
  expect(taskSegments(aTask({ status: "RUNNING" }), events).at(-1)).toEqual({
    kind: "running",
    startMs: 1_200,
    endMs: null,
  });
});

test("events of other tasks do not count, and without events the task's own times do", () => {
  const stranger = { ...anEvent("STARTED", 5), taskId: "somebody-else" };
  const task = aTask({ status: "FAILED", createdAt: 10, startedAt: 20, finishedAt: 50 });
  expect(taskSegments(task, [stranger])).toEqual([
    { kind: "waiting", startMs: 10, endMs: 20 },
    { kind: "failed", startMs: 20, endMs: 50 },
  ]);
});

test("a task cancelled while it waited only waited", () => {
  const task = aTask({ status: "CANCELLED", createdAt: 10, startedAt: null, finishedAt: 50 });
  expect(taskSegments(task, [])).toEqual([{ kind: "waiting", startMs: 10, endMs: 50 }]);
});
