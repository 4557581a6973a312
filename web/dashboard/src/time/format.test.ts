import { describe, expect, test } from "vitest";

import { formatAgo, formatDuration, formatOffset, formatUtc } from "./format";

describe("formatDuration", () => {
  test.each([
    [0, "0 ms"],
    [-5, "0 ms"],
    [999, "999 ms"],
    [1_254, "1.25 s"],
    [9_999, "9.99 s"],
    [59_999, "59.9 s"],
    [60_000, "1 min"],
    [83_500, "1 min 23 s"],
    [3_600_000, "1 h"],
    [90_061_000, "1 d 1 h"],
  ])("%i ms reads %s", (ms, words) => {
    expect(formatDuration(ms)).toBe(words);
  });
});

describe("formatAgo", () => {
  test.each([
    [100_000, "just now"],
    [102_500, "just now"],
    [95_000, "5 s ago"],
    [100_000 - 7_200_000, "2 h ago"],
    [100_000 + 3_600_000, "in 1 h"],
  ])("an instant at %i reads %s", (instant, words) => {
    expect(formatAgo(instant, 100_000)).toBe(words);
  });
});

test("offsets are relative to the first event and instants carry their zone", () => {
  expect(formatOffset(1_500, 250)).toBe("+1.25 s");
  expect(formatUtc(Date.UTC(2025, 0, 31, 9, 15, 0, 123))).toBe("2025-01-31 09:15:00.123 UTC");
});
