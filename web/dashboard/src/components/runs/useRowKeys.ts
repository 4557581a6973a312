/**
 * The keys of a list: j and k go to the next and the previous row, Escape closes the side panel, / goes to the search box.
 * While somebody writes, or a dialog asks, keys are what they are.
 */
import { useEffect, useEffectEvent, useRef, type RefObject } from "react";

export function useRowKeys({
  isPeeking,
  onPeek,
}: {
  isPeeking: boolean;
  /** Another run for the side panel, or none. */
  onPeek: (runId: string | undefined) => void;
}): RefObject<HTMLDivElement | null> {
  const list = useRef<HTMLDivElement>(null);

  function go(step: number): void {
    const rows = [...(list.current?.querySelectorAll<HTMLElement>("tr[data-run-id]") ?? [])];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const row = rows[at === -1 ? (step > 0 ? 0 : rows.length - 1) : at + step];
    if (row === undefined) return;
    row.focus();
    if (isPeeking) onPeek(row.dataset["runId"]);
  }

  const onKey = useEffectEvent((event: KeyboardEvent): void => {
    const target = event.target as Element;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (target.closest("input:not([type=checkbox]), textarea, select, dialog, [contenteditable=true]") !== null) return;
    if (event.key === "Escape" && isPeeking) onPeek(undefined);
    else if (event.key === "j") go(1);
    else if (event.key === "k") go(-1);
    else if (event.key === "/") document.querySelector<HTMLElement>("search input")?.focus();
    else return;
    event.preventDefault();
  });

  useEffect(() => {
    const listen = (event: KeyboardEvent): void => onKey(event);
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
  return list;
}
