/**
 * The time zone that instants are shown and entered in: the browser's own, or UTC. Kept per browser.
 *
 * What is on the screen is drawn again when it changes (`AppShell`), so that whoever formats an instant need not listen.
 */
import { useSyncExternalStore } from "react";

import { kept, keep } from "../components/kept";

export type Zone = "local" | "UTC";

const KEY = "broadaxe.zone";
const listeners = new Set<() => void>();
let chosen: Zone = kept(KEY) === "UTC" ? "UTC" : "local";

export function currentZone(): Zone {
  return chosen;
}

export function chooseZone(zone: Zone): void {
  chosen = zone;
  keep(KEY, zone === "local" ? null : zone);
  for (const notify of listeners) notify();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useZone(): Zone {
  return useSyncExternalStore(subscribe, currentZone);
}

/** `Europe/Berlin`, as people know it. */
export function zoneName(zone: Zone): string {
  return zone === "UTC" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** The instant that `2025-01-31T09:15`, as an input has it, names in a zone; NaN for what names none. */
export function instantOf(wallTime: string, zone: Zone): number {
  return Date.parse(zone === "UTC" ? `${wallTime}Z` : wallTime);
}

/** What an input for a wall time is given to show an instant, to the minute. */
export function wallTimeOf(instantMs: number, zone: Zone): string {
  const shiftMs = zone === "UTC" ? 0 : new Date(instantMs).getTimezoneOffset() * 60_000;
  return new Date(instantMs - shiftMs).toISOString().slice(0, "2025-01-31T09:15".length);
}
