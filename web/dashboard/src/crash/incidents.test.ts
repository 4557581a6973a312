import { expect, test } from "vitest";

import { anEvent } from "../test/factories";
import { eventsByTask } from "../timeline/segments";
import { incidentsOf } from "./incidents";

test("a lost worker is told with who had the task, who took it up and when, and what was kept", () => {
  const events = [
    { ...anEvent("FINISHED", 500), taskId: "other" },
    { ...anEvent("ASSIGNED", 1_000), workerId: "w1" },
    { ...anEvent("STARTED", 1_010), workerId: "w1" },
    { ...anEvent("REASSIGNED", 31_000), message: "the worker has sent no heartbeat for 30 seconds", attempt: 2 },
    { ...anEvent("ASSIGNED", 33_000), workerId: "w2" },
    { ...anEvent("STARTED", 34_100), workerId: "w2" },
    anEvent("FINISHED", 40_000),
  ];
  expect(incidentsOf(eventsByTask(events))).toEqual([
    {
      kind: "worker-lost",
      at: 31_000,
      taskId: anEvent("STARTED", 0).taskId,
      workerId: "w1",
      reason: "the worker has sent no heartbeat for 30 seconds",
      resumedAt: 34_100,
      resumedBy: "w2",
      completedBefore: 1,
      attempt: 2,
    },
  ]);
});

test("what the engine's absence did is told apart, and what nobody has taken up yet says so", () => {
  const events = [
    { ...anEvent("REASSIGNED", 2_000), message: "no report within 5s, but the attempt was cut off from the engine meanwhile: it may be lost" },
    { ...anEvent("REASSIGNED", 3_000), message: "the worker never confirmed the assignment" },
    { ...anEvent("COULD_NOT_SEND_TO_WORKER", 4_000), message: "the stream is gone" },
  ];
  const found = incidentsOf(eventsByTask(events));
  expect(found.map((incident) => [incident.kind, incident.resumedAt])).toEqual([
    ["cut-off", null],
    ["unconfirmed", null],
    ["not-sent", null],
  ]);
});

test("a run without trouble has no incidents, and a failure is none", () => {
  expect(incidentsOf(eventsByTask([anEvent("STARTED", 1), anEvent("FAILED", 2), anEvent("RETRYING", 2)]))).toEqual([]);
});
