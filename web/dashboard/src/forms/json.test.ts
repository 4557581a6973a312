import { expect, test } from "vitest";

import { drawable } from "./drawable";
import { beginningOf, checkJson, complaintsAbout } from "./json";

const ORDER = {
  type: "object",
  properties: {
    name: { type: "string" },
    age: { anyOf: [{ type: "integer", minimum: 18 }, { type: "null" }], default: null },
    lines: { type: "array", items: { $ref: "#/$defs/Line" } },
    express: { type: "boolean" },
  },
  required: ["name", "lines", "express"],
  additionalProperties: false,
  $defs: { Line: { type: "object", properties: { size: { enum: ["s", "m"] } }, required: ["size"] } },
};

test("a complaint names the innermost value that is wrong, and what would be right", () => {
  const value = { age: "x", lines: [{ size: "xl" }, {}], express: true, more: 1 };
  expect(complaintsAbout(value, ORDER)).toEqual([
    { path: ["name"], message: "Is missing." },
    { path: ["age"], message: "Must be integer or null, not string." },
    { path: ["lines", "0", "size"], message: 'Must be one of "s", "m".' },
    { path: ["lines", "1", "size"], message: "Is missing." },
    { path: ["more"], message: "Is not known to the schema." },
  ]);
  expect(complaintsAbout({ name: "Ada", lines: [], express: false }, ORDER)).toEqual([]);
});

test("a schema that cannot be read has no complaints", () => {
  expect(complaintsAbout({ a: "x" }, { properties: { a: { pattern: "(" } } })).toEqual([]);
});

test.each([
  ["", { value: {}, problem: null }],
  ["[1]", { value: null, problem: 'Give an object, such as {"name": "Ada"}.' }],
])("%j is read as %j", (text, answer) => {
  expect(checkJson(text)).toEqual(answer);
});

test("a text that is not JSON is blamed at its line, and a wrong value by its path", () => {
  expect(checkJson('{\n"a": 1,,\n}').problem).toMatch(/^This is not JSON \(line 2\)/);
  expect(checkJson('{"name": 3, "lines": [], "express": true}', ORDER).problem).toBe("name: Must be string, not number.");
});

test("an input begins with its defaults, and with what is required and cannot be left open", () => {
  expect(beginningOf(ORDER)).toEqual({ age: null, lines: [], express: false });
  expect(beginningOf(null)).toEqual({});
});

test("what may be null is drawn as what it is otherwise, inside definitions too", () => {
  const drawn = drawable({
    type: "object",
    properties: { a: { anyOf: [{ type: "integer" }, { type: "null" }], default: null, title: "A" } },
    $defs: { B: { type: "object", properties: { c: { type: ["string", "null"] } } } },
  });
  expect(drawn).toEqual({
    type: "object",
    properties: { a: { type: "integer", title: "A" } },
    $defs: { B: { type: "object", properties: { c: { type: "string" } } } },
  });
  expect(drawable({ type: "string" })).toBeNull();
});
