import { expect, test } from "vitest";

import { suggest, type Known } from "./suggest";

const KNOWN: Known = {
  workflows: ["orders", "mails"],
  workers: [{ id: "9c1d2c3e-0000-4000-8000-000000000003", name: "orders-1" }],
  metadata: new Map([["tenant", ["acme", "beta inc"]]]),
};
const terms = (text: string, caret = text.length) => suggest(text, caret, KNOWN).map((one) => one.term);

test("an empty box offers the names of what can be asked", () => {
  expect(terms("").slice(0, 3)).toEqual(["status:", "workflow:", "id:"]);
});

test.each([
  ["sta", ["status:"]],
  ["fail", ["status:failed"]],
  ["ord", ["workflow:orders"]],
  ["te", ["tenant="]],
  ["status:", ["status:queued", "status:running", "status:completed", "status:failed", "status:cancelled"]],
  ["status:failed,c", ["status:failed,completed", "status:failed,cancelled"]],
  ["workflow:ord", ["workflow:orders"]],
  ["worker:orders", ["worker:9c1d2c3e-0000-4000-8000-000000000003"]],
  ["tenant=", ["tenant=acme", 'tenant="beta inc"']],
  ["tenant=BE", ['tenant="beta inc"']],
  ["cause:s", ["cause:schedule"]],
  ["is:e", ["is:evicted"]],
  ["nothing=", []],
])("%j offers %j", (text, offered) => {
  expect(terms(text)).toEqual(offered);
});

test("a suggestion takes the place of the term at the caret and leaves the others", () => {
  const [first] = suggest("a=1 sta b=2", 7, KNOWN);
  expect(first).toMatchObject({ text: "a=1 status: b=2", caret: 11 });
  const [value] = suggest("tenant=ac orders", 9, KNOWN);
  expect(value).toMatchObject({ text: "tenant=acme orders", caret: 12 });
});
