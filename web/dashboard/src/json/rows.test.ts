import { expect, test } from "vitest";

import { containersFrom, countRows, findInJson, firstFolded, jsonRows, STRING_CHARS_MAX, valueAt } from "./rows";

const NOTHING: ReadonlySet<string> = new Set();
const VALUE = { name: "Ada", list: [1, { deep: true, "a b": null }], none: {}, empty: [] };

function written(rows: ReturnType<typeof jsonRows>): string {
  return rows
    .map((row) => "  ".repeat(row.depth) + (row.key === null ? "" : `${JSON.stringify(row.key)}: `) + row.text + (row.hasComma ? "," : ""))
    .join("\n");
}

test("the lines of a value are its JSON", () => {
  expect(written(jsonRows(VALUE, NOTHING, NOTHING))).toBe(JSON.stringify(VALUE, null, 2));
  expect(written(jsonRows("bare", NOTHING, NOTHING))).toBe('"bare"');
});

test("a path is written as a program would, and leads to its value", () => {
  const paths = jsonRows(VALUE, NOTHING, NOTHING).filter((row) => row.kind !== "close").map((row) => row.path);
  expect(paths).toEqual(["$", "name", "list", "list[0]", "list[1]", "list[1].deep", 'list[1]["a b"]', "none", "empty"]);
  expect(valueAt(VALUE, 'list[1]["a b"]')).toBeNull();
  expect(valueAt(VALUE, "list[1]")).toEqual({ deep: true, "a b": null });
  expect(valueAt(VALUE, "$")).toBe(VALUE);
  expect(valueAt(VALUE, "list[7]")).toBeUndefined();
});

test("what is folded is one line that says how much is in it", () => {
  const rows = jsonRows(VALUE, new Set(["list"]), NOTHING);
  expect(rows.map((row) => row.text)).toEqual(["{", '"Ada"', "[…]", "{}", "[]", "}"]);
  expect(rows[2]?.count).toBe(2);
});

test("a long string is cut, and unfolded it stands on lines that together are the whole", () => {
  const long = "x".repeat(STRING_CHARS_MAX * 2);
  const [, cut] = jsonRows({ long }, NOTHING, NOTHING);
  expect(cut?.text).toHaveLength(STRING_CHARS_MAX);
  expect(cut?.count).toBe(long.length + 2 - STRING_CHARS_MAX);
  const parts = jsonRows({ long }, NOTHING, new Set(["long"])).filter((row) => row.path === "long");
  expect(parts.map((row) => row.text).join("")).toBe(JSON.stringify(long));
});

test("a search finds keys and values, and says what to open to see them", () => {
  expect(findInJson(VALUE, "DEEP", 10)).toEqual([{ path: "list[1].deep", inside: ["$", "list", "list[1]"] }]);
  expect(findInJson(VALUE, "ada", 10).map((match) => match.path)).toEqual(["name"]);
  expect(findInJson(VALUE, "a", 2)).toHaveLength(2);
  expect(findInJson(VALUE, "", 2)).toEqual([]);
});

test("a large value begins folded below its first levels, and a small one does not", () => {
  const large = { rows: Array.from({ length: 5_000 }, (_, id) => ({ id, tags: ["a"] })) };
  expect(countRows(large, 1_000)).toBe(1_001);
  const folded = firstFolded(large);
  expect(folded.has("rows[4999]")).toBe(true);
  expect(folded.has("rows")).toBe(false);
  expect(jsonRows(large, folded, NOTHING)).toHaveLength(5_004);
  expect(firstFolded(VALUE).size).toBe(0);
  expect([...containersFrom(VALUE, 1)]).toEqual(["list", "list[1]"]);
});
