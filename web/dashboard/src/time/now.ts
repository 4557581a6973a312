/**
 * The present, for relative times and growing bars.
 *
 * One timer serves all readers and runs only while somebody reads. Components get an instant that is stable within a
 * render, so rendering stays pure.
 */
import { useSyncExternalStore } from "react";

const TICK_MS = 1_000;

const readers = new Set<() => void>();
let current = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(reader: () => void): () => void {
  readers.add(reader);
  timer ??= setInterval(() => {
    current = Date.now();
    for (const notify of readers) notify();
  }, TICK_MS);
  return () => {
    readers.delete(reader);
    if (readers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

function snapshot(): number {
  // The first reader after a quiet time would otherwise see the instant at which the last one left.
  if (timer === undefined && Date.now() - current > TICK_MS) current = Date.now();
  return current;
}

export function useNowMs(): number {
  return useSyncExternalStore(subscribe, snapshot);
}
