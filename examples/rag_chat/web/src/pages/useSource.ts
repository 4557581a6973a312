// Which passage of which answer is open beside the conversation. It is in the address: `?source=<answer>` is the list,
// `?source=<answer>.<number>` one passage.

import { useCallback, useRef } from "react";
import type { Turn } from "../chat/transcript";
import { go, useSearchParam, withParams } from "./route";

export interface Source {
  turn: Turn;
  index: number | null;
}

export function useSource(line: readonly Turn[]) {
  const [messageId, number] = (useSearchParam("source") ?? "").split(".");
  const turn = line.find((each) => each.messageId === messageId && each.status !== "running");
  const index = number === undefined || !/^\d{1,3}$/.test(number) ? null : Number(number);
  const opener = useRef<Element | null>(null);

  const open = useCallback((of: Turn, at: number | null) => {
    if (document.activeElement?.closest(".panel") === null) opener.current = document.activeElement;
    go(withParams({ source: at === null ? of.messageId : `${of.messageId}.${at}` }), "replace");
  }, []);
  const close = useCallback(() => {
    go(withParams({ source: null }), "replace");
    // Reading goes on where it was left.
    if (opener.current instanceof HTMLElement) opener.current.focus();
  }, []);
  const source: Source | null = turn === undefined ? null : { turn, index };
  return { source, open, close };
}
