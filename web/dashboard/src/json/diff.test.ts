import { expect, test } from "vitest";

import { diffJson } from "./diff";

test("what changed, came and went is found by its path", () => {
  const left = { a: 1, b: { c: [1, 2], gone: true }, same: { deep: "x" } };
  const right = { a: 2, b: { c: [1, 3, 4] }, same: { deep: "x" }, came: null };
  expect(diffJson(left, right, 100)).toEqual([
    { path: "a", left: "1", right: "2" },
    { path: "b.c[1]", left: "2", right: "3" },
    { path: "b.c[2]", left: null, right: "4" },
    { path: "b.gone", left: "true", right: null },
    { path: "came", left: null, right: "null" },
  ]);
});

test("a list is not an object, and the same is no difference", () => {
  expect(diffJson({ a: [] }, { a: {} }, 10)).toEqual([{ path: "a", left: "[]", right: "{}" }]);
  expect(diffJson({ a: NaN }, { a: NaN }, 10)).toEqual([]);
  expect(diffJson([1, 2, 3], [4, 5, 6], 2)).toHaveLength(2);
});
