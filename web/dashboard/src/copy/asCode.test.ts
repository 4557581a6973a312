import { execFileSync } from "node:child_process";

import { expect, test } from "vitest";

import { asCli, asCurl, asPytest, asPython, givenMetadata, type Started, type TestedTask } from "./asCode";

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

/** What a command is given by a real shell: its arguments, and behind them what is on its standard input. */
function heard(text: string): string[] {
  const command = `broadaxe() { printf '%s\\0' "$@"; case " $* " in *" --input "*) cat;; esac; }`;
  return execFileSync("sh", ["-c", `${command}\n${text}`], { encoding: "utf8" }).split("\0");
}

const AT = "http://127.0.0.1:8080";

test("a command says to a real shell what the run was given, letter for letter", () => {
  const input = { ...RUN.input, "'; exit 1 #": "`id` $(id) %s %d \\n !! ünï 🪓 \u0000 \ud800" };
  const { text, unsaid } = asCli({ ...RUN, input, metadata: { customer: "O'Neil & Söhne", "two\nlines": "a=b" } }, AT);
  const said = heard(text);
  expect(said.slice(0, -1)).toEqual([
    ...["trigger", "fulfil-order", "--input", "-", "--metadata", "customer=O'Neil & Söhne", "--metadata", "two\nlines=a=b"],
    ...["--priority", "3", "--wait", "--url", AT],
  ]);
  expect(JSON.parse(said.at(-1) ?? "")).toEqual(input);
  expect(unsaid).toEqual([]);
});

test("a command leaves out what a run has not, and tells what it cannot say", () => {
  const { text, unsaid } = asCli({ ...RUN, workflowName: "-wait", input: {}, metadata: { n: 7, "a=b": "c", deep: { x: [1] } }, priority: null }, AT);
  expect(heard(text)).toEqual(["trigger", "--metadata", "n=7", "--metadata", 'deep={"x":[1]}', "--wait", "--url", AT, "--", "-wait", ""]);
  expect(unsaid).toEqual(["n", "a=b", "deep"]);
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
