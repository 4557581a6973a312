import { expect, test } from "vitest";

import { errorSummary } from "./errorSummary";

test.each([
  ["ValueError: no such table\nTraceback (most recent call last):\n  File ...", "ValueError: no such table"],
  ["Traceback (most recent call last):\n  File ...\nValueError: no such table\n", "ValueError: no such table"],
  ["cancelled by a user", "cancelled by a user"],
  ["", ""],
])("of %j the line that counts is %j", (text, line) => {
  expect(errorSummary(text)).toBe(line);
});
