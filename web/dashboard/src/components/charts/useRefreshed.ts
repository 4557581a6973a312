/**
 * Asks for a chart's figures again some time after what they are about has changed: at most so often however much
 * happens, and never while nothing does.
 */
import { useEffect, useRef } from "react";

const AT_MOST_EVERY_MS = 15_000;

export function useRefreshed(changes: unknown, refetch: () => unknown): void {
  const known = useRef(changes);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const again = useRef(refetch);
  useEffect(() => {
    again.current = refetch;
  });
  useEffect(() => {
    if (known.current === changes) return;
    const isFirst = known.current === null || known.current === undefined;
    known.current = changes;
    if (isFirst || timer.current !== undefined) return;
    timer.current = setTimeout(() => {
      timer.current = undefined;
      again.current();
    }, AT_MOST_EVERY_MS);
  }, [changes]);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
}
