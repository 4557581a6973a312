/**
 * A module that is loaded when it is first needed, and again when that failed: null until it is there. What the engine
 * cannot give now it can give in a moment, and until then the page goes on without it.
 */
import { useEffect, useState } from "react";

const AGAIN_AFTER_MS = 2_000;

/** Nothing is loaded while it is not wanted. */
export function useLoaded<Module extends object>(load: () => Promise<Module>, isWanted = true): Module | null {
  const [loaded, setLoaded] = useState<Module | null>(null);
  const [failures, setFailures] = useState(0);
  useEffect(() => {
    if (loaded !== null || !isWanted) return;
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    load()
      .then((module) => {
        if (!isOver) setLoaded(module);
      })
      .catch(() => {
        timer = setTimeout(() => setFailures((count) => count + 1), AGAIN_AFTER_MS);
      });
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
    // What is loaded is the same however the function was made.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [loaded, failures, isWanted]);
  return loaded;
}
