/** Instants and durations in words. "Now" is always an argument; wall times are in the zone that was chosen. */
import { currentZone } from "./zone";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export function formatDuration(durationMs: number): string {
  const ms = Math.max(0, Math.round(durationMs));
  if (ms < SECOND_MS) return `${ms} ms`;
  if (ms < 10 * SECOND_MS) return `${(Math.floor(ms / 10) / 100).toFixed(2)} s`;
  if (ms < MINUTE_MS) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < HOUR_MS) return twoUnits(ms, MINUTE_MS, "min", SECOND_MS, "s");
  if (ms < DAY_MS) return twoUnits(ms, HOUR_MS, "h", MINUTE_MS, "min");
  return twoUnits(ms, DAY_MS, "d", HOUR_MS, "h");
}

function twoUnits(ms: number, bigMs: number, bigName: string, smallMs: number, smallName: string): string {
  const small = Math.floor((ms % bigMs) / smallMs);
  const big = `${Math.floor(ms / bigMs)} ${bigName}`;
  return small === 0 ? big : `${big} ${small} ${smallName}`;
}

export function formatAgo(instantMs: number, nowMs: number): string {
  const ageMs = nowMs - instantMs;
  // Clocks of browser and engine differ by a little; nobody wants to read "in 0 seconds".
  if (ageMs < 2 * SECOND_MS && ageMs > -MINUTE_MS) return "just now";
  if (ageMs < 0) return `in ${oneUnit(-ageMs)}`;
  return `${oneUnit(ageMs)} ago`;
}

function oneUnit(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.floor(ms / SECOND_MS)} s`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  if (ms < DAY_MS) return `${Math.floor(ms / HOUR_MS)} h`;
  return `${Math.floor(ms / DAY_MS)} d`;
}

/** How long after the first event something happened: `+0 ms`, `+1.25 s`. */
export function formatOffset(instantMs: number, originMs: number): string {
  return `+${formatDuration(instantMs - originMs)}`;
}

export function formatUtc(instantMs: number): string {
  return new Date(instantMs).toISOString().replace("T", " ").replace("Z", " UTC");
}

/** For the options of the browser's own formatters. */
export function timeZone(): { timeZone?: string } {
  return currentZone() === "UTC" ? { timeZone: "UTC" } : {};
}

export function formatLocal(instantMs: number): string {
  const words = new Date(instantMs).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium", ...timeZone() });
  return currentZone() === "UTC" ? `${words} UTC` : words;
}

export function formatLocalClock(instantMs: number): string {
  const clock = new Date(instantMs).toLocaleTimeString(undefined, { hour12: false, ...timeZone() });
  return `${clock}.${String(instantMs % SECOND_MS).padStart(3, "0")}`;
}

const CLOCK: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hour12: false };
const DAY: Intl.DateTimeFormatOptions = { month: "short", day: "numeric" };

/** The beginning of a bucket of a chart, as exact as the bucket is wide. */
export function formatChartInstant(instantMs: number, bucketMs: number): string {
  const at = new Date(instantMs);
  if (bucketMs < 30 * MINUTE_MS) return at.toLocaleTimeString(undefined, { ...CLOCK, ...timeZone() });
  if (bucketMs < DAY_MS) return at.toLocaleString(undefined, { ...DAY, ...CLOCK, ...timeZone() });
  return at.toLocaleDateString(undefined, { ...DAY, ...timeZone() });
}
