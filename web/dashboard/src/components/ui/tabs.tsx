/** Tabs after the WAI-ARIA pattern: arrow keys, Home and End move; only the chosen panel is rendered. */
import { useId, useRef, type KeyboardEvent, type ReactNode } from "react";

import { cn } from "./classes";

export interface Tab<Id extends string> {
  readonly id: Id;
  readonly label: string;
  readonly badge?: string | number | null;
}

export function Tabs<Id extends string>({
  label,
  tabs,
  chosen,
  onChoose,
  children,
}: {
  label: string;
  tabs: readonly Tab<Id>[];
  chosen: Id;
  onChoose: (id: Id) => void;
  children: ReactNode;
}) {
  const baseId = useId();
  const list = useRef<HTMLDivElement>(null);

  function onKeyDown(event: KeyboardEvent): void {
    const index = tabs.findIndex((tab) => tab.id === chosen);
    const target = {
      ArrowRight: (index + 1) % tabs.length,
      ArrowLeft: (index - 1 + tabs.length) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    }[event.key];
    const next = target === undefined ? undefined : tabs[target];
    if (next === undefined || target === undefined) return;
    event.preventDefault();
    onChoose(next.id);
    list.current?.querySelectorAll<HTMLButtonElement>("[role=tab]")[target]?.focus();
  }

  return (
    <div>
      <div ref={list} role="tablist" aria-label={label} className="flex gap-1 overflow-x-auto border-b border-line px-2">
        {tabs.map((tab) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${baseId}-${tab.id}`}
            aria-selected={tab.id === chosen}
            aria-controls={`${baseId}-panel`}
            tabIndex={tab.id === chosen ? 0 : -1}
            onClick={() => onChoose(tab.id)}
            onKeyDown={onKeyDown}
            className={cn(
              "-mb-px flex items-center gap-1.5 border-b-2 px-2.5 py-2 text-sm whitespace-nowrap -outline-offset-2",
              tab.id === chosen
                ? "border-accent font-medium text-ink"
                : "border-transparent text-ink-soft hover:text-ink",
            )}
          >
            {tab.label}
            {tab.badge !== undefined && tab.badge !== null && (
              <span className="rounded-full bg-sunken px-1.5 text-xs tabular-nums">{tab.badge}</span>
            )}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${baseId}-panel`} aria-labelledby={`${baseId}-${chosen}`}>
        {children}
      </div>
    </div>
  );
}
