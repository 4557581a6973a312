import { expect, test } from "vitest";

import { loginSearchSchema, runsSearchSchema } from "./searches";

test("what cannot be understood in an address falls back to the default", () => {
  expect(runsSearchSchema.parse({ status: ["LOST"], workflow: "", metadata: "x", window: "1y", from: "now", peek: "x", page: 0 })).toEqual({});
});

test("addresses of the run list that people have kept mean what they did", () => {
  const id = "5d1f6f3a-0000-4000-8000-0000000000aa";
  const kept = runsSearchSchema.parse({ status: ["FAILED"], workflow: id, metadata: "a:b", window: "7d", page: 3 });
  expect(kept).toEqual({ status: ["FAILED"], workflow: [id], metadata: ["a:b"], window: "7d" });
});

test("an address of the run list may be written by hand", () => {
  expect(runsSearchSchema.parse({ status: "FAILED,CANCELLED", workflow: "orders,mails", id: 1939, text: 17 })).toEqual({
    status: ["FAILED", "CANCELLED"],
    workflow: ["orders", "mails"],
    id: "1939",
    text: "17",
  });
});

test.each(["https://evil.example", "//evil.example", "/\\evil.example", "runs"])("after sign-in nobody is sent to %s", (next) => {
  expect(loginSearchSchema.parse({ next })).toEqual({});
});

test("after sign-in people go on to the page they asked for", () => {
  expect(loginSearchSchema.parse({ next: "/runs/1?task=2" })).toEqual({ next: "/runs/1?task=2" });
});
