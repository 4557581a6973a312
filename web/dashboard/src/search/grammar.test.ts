import { expect, test } from "vitest";

import { EVERY_RUN, filterTerms, formatQuery, parseQuery, type RunQuery } from "./grammar";

const ID = "0b1d2c3e-0000-4000-8000-000000000001";

test.each<[string, Partial<RunQuery>]>([
  ["", {}],
  ["status:failed", { statuses: ["FAILED"] }],
  ["status:failed,cancelled status:waiting", { statuses: ["FAILED", "CANCELLED", "QUEUED"] }],
  ["workflow:orders workflow:mails", { workflows: ["orders", "mails"] }],
  ["tenant=acme", { metadata: [{ key: "tenant", value: "acme" }] }],
  ['tenant="acme inc" AND plan=pro', { metadata: [{ key: "tenant", value: "acme inc" }, { key: "plan", value: "pro" }] }],
  ["a=1 OR b=2", { metadata: [{ key: "a", value: "1" }, { key: "b", value: "2" }], anyMetadata: true }],
  ['url="http://x/?a=b"', { metadata: [{ key: "url", value: "http://x/?a=b" }] }],
  ["url=http://x/?a=b", { metadata: [{ key: "url", value: "http://x/?a=b" }] }],
  ["empty=", { metadata: [{ key: "empty", value: "" }] }],
  [
    "schedule:0B1D2C3E-0000-4000-8000-000000000001",
    { metadata: [{ key: "broadaxe__schedule_id", value: "0b1d2c3e-0000-4000-8000-000000000001" }] },
  ],
  ["cron:nightly", { metadata: [{ key: "hatchet__cron_name", value: "nightly" }] }],
  ["id:0b1D2c", { id: "0b1d2c" }],
  [ID.toUpperCase(), { id: ID }],
  [`event:${ID} parent:${ID} worker:${ID}`, { event: ID, parent: ID, worker: ID }],
  ["key:order-7 key:order-8", { keys: ["order-7", "order-8"] }],
  ["input:customer.id=acme output:total=3", { inputs: ["customer.id=acme"], outputs: ["total=3"] }],
  ['input:customer.name="Ada L" input:a=', { inputs: ["customer.name=Ada L", "a="] }],
  ["cause:cron,schedule", { causes: ["CRON", "SCHEDULE"] }],
  ["is:evicted", { place: "evicted" }],
  ["is:waiting", { statuses: ["QUEUED"] }],
  ["STATUS:Failed", { statuses: ["FAILED"] }],
  ["orders-17383", { text: "orders-17383" }],
  ['"a:b" c', { text: "a:b c" }],
  ['say "unfinished', { text: "say unfinished" }],
])("%j asks for %j", (text, asked) => {
  expect(parseQuery(text)).toEqual({ query: { ...EVERY_RUN, ...asked }, problems: [] });
});

test.each([
  ["customer:acme", /There is no “customer:”. For metadata write customer=acme/],
  ["status:broken", /“broken” is no status/],
  ["cause:magic", /“magic” causes no runs/],
  ["id:xyz", /An id has the digits/],
  ["parent:12", /takes an id of 36 characters/],
  ["workflow:", /Write name of a workflow behind “workflow:”/],
  ["input:customer.id", /Write a place and its value behind “input:”, like input:customer.id=acme/],
  ["output:=3", /Write a place and its value behind “output:”/],
  ["is:nice", /“is:” takes waiting/],
  ["a=1 OR b=2 c=3", /cannot be mixed/],
  ["OR a=1", /OR stands between two pairs/],
  ["a=1 OR status:failed", /OR stands between two pairs/],
])("%j is explained, not guessed", (text, words) => {
  expect(parseQuery(text).problems.join(" ")).toMatch(words);
});

test("what is written for a search reads as the same search", () => {
  const full: RunQuery = {
    statuses: ["FAILED", "QUEUED"],
    workflows: ["orders", "mails"],
    metadata: [
      { key: "my key", value: 'say "hi" \\ there' },
      { key: "hatchet__cron_name", value: "every night" },
      { key: "a", value: "" },
    ],
    anyMetadata: true,
    place: "on-worker",
    causes: ["CRON"],
    id: "0b1d",
    event: ID,
    parent: ID,
    worker: ID,
    keys: ["a b", "c"],
    inputs: ["customer.id=acme: x", 'a["b c"]=1'],
    outputs: ["total=3"],
    text: "some: text",
  };
  expect(parseQuery(formatQuery(full))).toEqual({ query: full, problems: [] });
  expect(parseQuery(formatQuery({ ...full, anyMetadata: false })).query).toEqual({ ...full, anyMetadata: false });
  expect(parseQuery(formatQuery({ ...EVERY_RUN, text: "OR" })).query.text).toBe("OR");
  expect(parseQuery(formatQuery({ ...EVERY_RUN, text: ID })).query).toEqual({ ...EVERY_RUN, text: ID });
});

test("each term can be taken away", () => {
  const { query } = parseQuery("status:failed a=1 OR b=2 orders");
  const terms = filterTerms(query);
  expect(terms.map((term) => term.text)).toEqual(["status:failed", "a=1", "b=2", "orders"]);
  expect(terms.map((term) => formatQuery(term.without))).toEqual([
    "a=1 OR b=2 orders",
    "status:failed b=2 orders",
    "status:failed a=1 orders",
    "status:failed a=1 OR b=2",
  ]);
});
