import { expect, test } from "vitest";

import { aDetails, aTask, anEvent } from "../test/factories";
import { downstreamOf, stepOfInterest, stepsOf } from "./steps";

const NIL_UUID = "00000000-0000-0000-0000-000000000000";

test("a step whose task does not exist yet is pending", () => {
  const details = aDetails({
    tasks: [aTask({ taskExternalId: "t1", stepId: "s1", status: "RUNNING" })],
    shape: [
      { taskExternalId: "t1", stepId: "s1", childrenStepIds: ["s2"], taskName: "extract" },
      { taskExternalId: NIL_UUID, stepId: "s2", childrenStepIds: [], taskName: "load" },
    ],
  });
  expect(stepsOf(details).map((step) => [step.name, step.status])).toEqual([
    ["extract", "RUNNING"],
    ["load", "PENDING"],
  ]);
});

test("a skipped task reads as skipped", () => {
  const details = aDetails({
    tasks: [aTask({ taskExternalId: "t1", stepId: "s1", status: "COMPLETED" })],
    shape: [{ taskExternalId: "t1", stepId: "s1", childrenStepIds: [], taskName: "maybe" }],
    taskEvents: [{ ...anEvent("SKIPPED", 5), taskId: "t1" }],
  });
  expect(stepsOf(details)[0]?.status).toBe("SKIPPED");
});

test("the step of interest is the failed one, then the running one, then the last that exists", () => {
  const step = (name: string, status: "FAILED" | "RUNNING" | "COMPLETED" | "PENDING") => ({
    id: name,
    name,
    childIds: [],
    status,
    task: status === "PENDING" ? null : aTask({ status }),
  });
  const done = step("a", "COMPLETED");
  expect(stepOfInterest([done, step("b", "RUNNING"), step("c", "FAILED")])?.name).toBe("c");
  expect(stepOfInterest([done, step("b", "RUNNING"), step("c", "PENDING")])?.name).toBe("b");
  expect(stepOfInterest([done, step("b", "COMPLETED"), step("c", "PENDING")])?.name).toBe("b");
  expect(stepOfInterest([step("c", "PENDING")])).toBeNull();
});

test("a run that went well does not open on the failure handler that was skipped", () => {
  const details = aDetails({
    tasks: [
      aTask({ taskExternalId: "t1", stepId: "s1", status: "COMPLETED" }),
      aTask({ taskExternalId: "t2", stepId: "s2", status: "COMPLETED", startedAt: null, output: { skipped: true } }),
    ],
    shape: [
      { taskExternalId: "t1", stepId: "s1", childrenStepIds: [], taskName: "ship" },
      { taskExternalId: "t2", stepId: "s2", childrenStepIds: [], taskName: "refund-on-failure" },
    ],
  });
  const steps = stepsOf(details);
  expect(steps[1]?.status).toBe("SKIPPED");
  expect(stepOfInterest(steps)?.name).toBe("ship");
});

test("what comes after a step is found however it gets there", () => {
  const step = (id: string, childIds: readonly string[]) => ({ id, name: id, childIds, task: null, status: "PENDING" as const });
  const steps = [step("a", ["b", "c"]), step("b", ["d"]), step("c", ["d"]), step("d", []), step("e", [])];
  expect([...downstreamOf(steps, "a")].toSorted()).toEqual(["a", "b", "c", "d"]);
  expect([...downstreamOf(steps, "e")]).toEqual(["e"]);
});
