import { expect, test } from "vitest";

import { errorSummary, errorText } from "./errorSummary";

test.each([
  ["ValueError: no such table\nTraceback (most recent call last):\n  File ...", "ValueError: no such table"],
  ["Traceback (most recent call last):\n  File ...\nValueError: no such table\n", "ValueError: no such table"],
  ["cancelled by a user", "cancelled by a user"],
  ["", ""],
])("of %j the line that counts is %j", (text, line) => {
  expect(errorSummary(text)).toBe(line);
});

test("what SDKs add to an error is not shown", () => {
  const sent = 'ValueError: first line\\\nsecond line\nTraceback\n\n{"__hatchet_error_metadata__": {"task_run_external_id": null}}';
  expect(errorText(sent)).toBe("ValueError: first line\nsecond line\nTraceback");
  expect(errorText("plain")).toBe("plain");
});
