import { expect, test } from "vitest";

import { aTask, anEvent } from "../test/factories";
import { eventsByTask, roundsOf, taskSegments } from "./segments";

const TASK_ID = aTask().taskExternalId;

function bars(task: ReturnType<typeof aTask>, events: ReturnType<typeof anEvent>[], round = 0) {
  const rounds = roundsOf(events, 900);
  const chosen = rounds[round];
  if (chosen === undefined) throw new Error("no such round");
  return taskSegments(task, eventsByTask(events).get(TASK_ID) ?? [], chosen);
}

test("a finished task waited, then ran", () => {
  const events = [anEvent("QUEUED", 1_000), anEvent("ASSIGNED", 1_150), anEvent("STARTED", 1_200), anEvent("FINISHED", 1_900)];
  expect(bars(aTask({ status: "COMPLETED" }), events)).toEqual([
    { kind: "queued", startMs: 1_000, endMs: 1_200 },
    { kind: "completed", startMs: 1_200, endMs: 1_900 },
  ]);
});

test("every attempt of a retried task has its own bar, apart from the wait for the retry and the one in the queue", () => {
  const events = [
    anEvent("FINISHED", 4_000),
    anEvent("QUEUED", 900),
    anEvent("STARTED", 1_000),
    { ...anEvent("FAILED", 1_500), id: 99 },
    { ...anEvent("RETRYING", 1_500), id: 7 },
    anEvent("QUEUED", 2_500),
    anEvent("STARTED", 3_000),
  ];
  expect(bars(aTask({ status: "COMPLETED" }), events).map((segment) => [segment.kind, segment.startMs])).toEqual([
    ["queued", 900],
    ["failed", 1_000],
    ["backoff", 1_500],
    ["queued", 2_500],
    ["completed", 3_000],
  ]);
});

test("an attempt that failed at once is still shown", () => {
  const events = [anEvent("QUEUED", 1_000), anEvent("STARTED", 1_200), anEvent("FAILED", 1_200)];
  expect(bars(aTask({ status: "FAILED" }), events).at(-1)).toEqual({ kind: "failed", startMs: 1_200, endMs: 1_200 });
});

test("a running task has an open bar, and an attempt whose start nobody told runs from its assignment", () => {
  const events = [anEvent("QUEUED", 1_000), anEvent("STARTED", 1_200), anEvent("SLOT_RELEASED", 1_300)];
  expect(bars(aTask({ status: "RUNNING" }), events).at(-1)).toEqual({ kind: "running", startMs: 1_200, endMs: null });
  const untold = [anEvent("QUEUED", 1_000), anEvent("ASSIGNED", 1_100), anEvent("REASSIGNED", 6_100), anEvent("QUEUED", 6_100)];
  expect(bars(aTask({ status: "QUEUED" }), untold)).toEqual([
    { kind: "queued", startMs: 1_000, endMs: 1_100 },
    { kind: "failed", startMs: 1_100, endMs: 6_100 },
    { kind: "queued", startMs: 6_100, endMs: null },
  ]);
});

test("a durable task that is put away waits off its worker", () => {
  const events = [
    anEvent("QUEUED", 1_000),
    anEvent("STARTED", 1_100),
    anEvent("DURABLE_EVICTED", 2_000),
    anEvent("DURABLE_RESTORING", 9_000),
    anEvent("STARTED", 9_100),
  ];
  expect(bars(aTask(), events).map((segment) => segment.kind)).toEqual(["queued", "completed", "evicted", "queued", "running"]);
});

test("a replay begins a round of its own, and a task that never started in it has no bar", () => {
  const events = [
    anEvent("QUEUED", 1_000),
    anEvent("STARTED", 1_200),
    anEvent("FAILED", 1_900),
    anEvent("RETRIED_BY_USER", 90_000),
    anEvent("CANCELLED", 91_000),
  ];
  expect(roundsOf(events, 900)).toEqual([
    { startMs: 900, endMs: 90_000, replayed: 0 },
    { startMs: 90_000, endMs: null, replayed: 1 },
  ]);
  const task = aTask({ status: "CANCELLED" });
  expect(bars(task, events, 0).map((segment) => segment.kind)).toEqual(["queued", "failed"]);
  expect(bars(task, events, 1)).toEqual([]);
});

test("a task that a replay left alone shows nothing in that round", () => {
  const other = { ...anEvent("RETRIED_BY_USER", 90_000), taskId: "somebody-else" };
  const events = [anEvent("QUEUED", 1_000), anEvent("STARTED", 1_200), anEvent("FINISHED", 1_900), other];
  expect(bars(aTask({ status: "COMPLETED" }), events, 1)).toEqual([]);
  expect(bars(aTask({ status: "COMPLETED" }), events, 0)).toHaveLength(2);
});

test("a task replayed in the second replay only shows nothing in the first", () => {
  const first = { ...anEvent("RETRIED_BY_USER", 50_000), taskId: "somebody-else" };
  const events = [anEvent("QUEUED", 1_000), anEvent("FINISHED", 1_900), first, anEvent("RETRIED_BY_USER", 90_000), anEvent("QUEUED", 90_000)];
  expect(bars(aTask(), events, 1)).toEqual([]);
  expect(bars(aTask(), events, 2)).toEqual([{ kind: "queued", startMs: 90_000, endMs: null }]);
});

test("without events the task's own times count", () => {
  const stranger = { ...anEvent("STARTED", 5), taskId: "somebody-else" };
  const task = aTask({ status: "FAILED", createdAt: 10, startedAt: 20, finishedAt: 50 });
  expect(bars(task, [stranger])).toEqual([
    { kind: "queued", startMs: 10, endMs: 20 },
    { kind: "failed", startMs: 20, endMs: 50 },
  ]);
  expect(bars(aTask({ status: "CANCELLED", createdAt: 10, startedAt: null, finishedAt: 50 }), [])).toEqual([
    { kind: "queued", startMs: 10, endMs: 50 },
  ]);
});
