// Something of the edge, looked at again while it is still being worked on.

import { useCallback, useEffect, useState } from "react";
import { sentenceOf } from "../services/wire";

const AGAIN_MS = 1_500;

export interface Fetched<T> {
  /** The latest that was seen; it stays while it cannot be looked at again. */
  value: T | null;
  problem: string | null;
  again: () => void;
}

/** `fetching` has to stay the same function as long as it fetches the same. `unfinished` says whether to look again soon. */
export function useFetched<T>(fetching: () => Promise<T>, unfinished: (value: T) => boolean): Fetched<T> {
  const [seen, setSeen] = useState<{ of: () => Promise<T>; value: T } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [look, setLook] = useState(0);
  const again = useCallback(() => setLook((number) => number + 1), []);

  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    fetching().then(
      (value) => {
        if (gone) return;
        setSeen({ of: fetching, value });
        setProblem(null);
        if (unfinished(value)) timer = setTimeout(again, AGAIN_MS);
      },
      (error: unknown) => {
        if (!gone) setProblem(sentenceOf(error));
      },
    );
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [fetching, unfinished, look, again]);

  return { value: seen !== null && seen.of === fetching ? seen.value : null, problem, again };
}
