import { expect, test } from "vitest";

import { asCurl, asPytest, asPython, givenMetadata, type Started, type TestedTask } from "./asCode";

const RUN: Started = {
  tenantId: "t-1",
  workflowName: "fulfil-order",
  input: { name: "O'Neil", note: 'a "quote" and \\ and $HOME', lines: ["x\ny"] },
  metadata: { customer: "acme" },
  priority: 3,
};

const TASK: TestedTask = {
  workflowName: "fulfil-order",
  taskName: "charge-card",
  runId: "r-1",
  at: "2026-01-31",
  input: RUN.input,
  metadata: {},
  parents: { validate: { ok: true } },
  output: { charged: 10 },
  error: null,
  children: [],
  isDurable: false,
};

test("a request for the shell quotes whatever the input has", () => {
  const text = asCurl(RUN, "http://127.0.0.1:8080");
  expect(text).toContain(`-X POST 'http://127.0.0.1:8080/api/v1/stable/tenants/t-1/workflow-runs/trigger'`);
  const body = /--data-binary '(.*)'$/s.exec(text)?.[1]?.replaceAll(`'\\''`, "'") ?? "";
  expect(JSON.parse(body)).toEqual({ workflowName: "fulfil-order", input: RUN.input, additionalMetadata: RUN.metadata, priority: 3 });
  expect(text).toContain("$HATCHET_CLIENT_TOKEN");
});

test("a Python program has the input as one literal", () => {
  const literal = /input=json\.loads\((.*)\),/.exec(asPython(RUN))?.[1] ?? "";
  expect(JSON.parse(JSON.parse(literal) as string)).toEqual(RUN.input);
  expect(asPython({ ...RUN, metadata: {}, priority: null })).not.toMatch(/additional_metadata|priority/);
});

test("a test has what was recorded, and says what it does not replace", () => {
  const text = asPytest(TASK);
  expect(text).toContain("def test_charge_card():");
  expect(text).toContain("assert as_json(output) == OUTPUT");
  expect(text).not.toContain("CHILDREN");
  const failed = asPytest({ ...TASK, output: null, error: 'KeyError: "a"\nmore', children: [{ workflowName: "w", input: {}, output: {} }], isDurable: true });
  expect(failed).toContain("failed with: KeyError: 'a' more");
  expect(failed).toContain("CHILDREN = json.loads(");
  expect(failed).toContain("It is durable");
  expect(failed).not.toContain("OUTPUT =");
});

test("metadata of the engine is not given again", () => {
  expect(givenMetadata({ customer: "acme", hatchet__event_id: "e" })).toEqual({ customer: "acme" });
});
