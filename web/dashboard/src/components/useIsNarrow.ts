/** Whether the window is as narrow as a phone. */
import { useSyncExternalStore } from "react";

const query = typeof window.matchMedia === "function" ? window.matchMedia("(max-width: 639px)") : null;

function subscribe(notify: () => void): () => void {
  query?.addEventListener("change", notify);
  return () => query?.removeEventListener("change", notify);
}

export function useIsNarrow(): boolean {
  return useSyncExternalStore(subscribe, () => query?.matches ?? false);
}
