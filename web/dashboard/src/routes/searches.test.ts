import { expect, test } from "vitest";

import { loginSearchSchema, runsSearchSchema } from "./searches";

test("what cannot be understood in an address falls back to the default", () => {
  expect(runsSearchSchema.parse({ status: ["LOST"], workflow: "x", window: "1y", page: 0 })).toEqual({});
  expect(runsSearchSchema.parse({ status: ["FAILED"], page: 3 })).toEqual({ status: ["FAILED"], page: 3 });
});

test.each(["https://evil.example", "//evil.example", "/\\evil.example", "runs"])("after sign-in nobody is sent to %s", (next) => {
  expect(loginSearchSchema.parse({ next })).toEqual({});
});

test("after sign-in people go on to the page they asked for", () => {
  expect(loginSearchSchema.parse({ next: "/runs/1?task=2" })).toEqual({ next: "/runs/1?task=2" });
});
