import { afterEach, expect, test } from "vitest";

import { formatLocal, formatLocalClock } from "./format";
import { chooseZone, instantOf, wallTimeOf } from "./zone";

const INSTANT = Date.UTC(2025, 0, 31, 9, 15, 0, 123);

afterEach(() => chooseZone("local"));

test("in UTC every wall time says so, and the choice outlives the page", () => {
  chooseZone("UTC");
  expect(formatLocal(INSTANT)).toMatch(/9:15:00.*UTC$/);
  expect(formatLocalClock(INSTANT)).toBe("09:15:00.123");
  expect(window.localStorage.getItem("broadaxe.zone")).toBe("UTC");
  chooseZone("local");
  expect(window.localStorage.getItem("broadaxe.zone")).toBeNull();
});

test.each(["UTC", "local"] as const)("what is entered in %s is the instant that is shown for it", (zone) => {
  const wallTime = wallTimeOf(INSTANT, zone);
  expect(wallTimeOf(instantOf(wallTime, zone), zone)).toBe(wallTime);
  expect(instantOf("", zone)).toBeNaN();
});

test("a wall time in UTC does not depend on where the browser is", () => {
  expect(wallTimeOf(INSTANT, "UTC")).toBe("2025-01-31T09:15");
  expect(instantOf("2025-01-31T09:15", "UTC")).toBe(Date.UTC(2025, 0, 31, 9, 15));
});
