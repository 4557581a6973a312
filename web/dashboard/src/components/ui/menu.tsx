/** A button with a short list of acts behind it, after the WAI-ARIA pattern: arrow keys move, Escape closes. */
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";

import { useMay, type Act } from "../may";
import { Button } from "./button";

export interface MenuItem {
  readonly label: string;
  readonly onChoose: () => void;
  readonly isDisabled?: boolean;
  /** Not in the menu of whoever may not do it. */
  readonly needs?: Act;
}

export function Menu({
  label,
  accessibleName = label,
  size = "regular",
  items: all,
}: {
  label: string;
  /** What it is for, where there are several: begins with the label. */
  accessibleName?: string;
  size?: "small" | "regular";
  items: readonly MenuItem[];
}) {
  const [isOpen, setIsOpen] = useState(false);
  const id = useId();
  const may = useMay();
  const items = all.filter(({ needs }) => needs === undefined || may(needs));
  const frame = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!isOpen) return;
    frame.current?.querySelector<HTMLButtonElement>("[role=menuitem]:not(:disabled)")?.focus();
    const leave = (event: PointerEvent) => {
      if (!(event.target instanceof Node) || frame.current?.contains(event.target) !== true) setIsOpen(false);
    };
    document.addEventListener("pointerdown", leave);
    return () => document.removeEventListener("pointerdown", leave);
  }, [isOpen]);

  function close(): void {
    setIsOpen(false);
    frame.current?.querySelector<HTMLButtonElement>("[aria-haspopup]")?.focus();
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (!isOpen) return;
    const entries = [...(frame.current?.querySelectorAll<HTMLButtonElement>("[role=menuitem]:not(:disabled)") ?? [])];
    const at = entries.indexOf(document.activeElement as HTMLButtonElement);
    const target = {
      ArrowDown: (at + 1) % entries.length,
      ArrowUp: (at - 1 + entries.length) % entries.length,
      Home: 0,
      End: entries.length - 1,
    }[event.key];
    if (target !== undefined) entries[target]?.focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") setIsOpen(false);
    if (target !== undefined || event.key === "Escape") event.preventDefault();
  }

  if (items.length === 0) return null;
  return (
    // The keys are those of the buttons inside.
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions
    <div ref={frame} className="relative" onKeyDown={onKeyDown}>
      <Button size={size} aria-label={accessibleName} aria-haspopup="menu" aria-expanded={isOpen} aria-controls={id} onClick={() => setIsOpen(!isOpen)}>
        {label} <span aria-hidden="true">▾</span>
      </Button>
      {isOpen && (
        <div
          id={id}
          role="menu"
          aria-label={accessibleName}
          className="absolute top-full right-0 z-10 mt-1 max-h-[70vh] w-max max-w-[80vw] overflow-y-auto rounded-md border border-line bg-card py-1 shadow-lg"
        >
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              data-needs={item.needs}
              tabIndex={-1}
              disabled={item.isDisabled === true}
              className="block w-full px-3 py-1.5 text-left text-sm enabled:hover:bg-sunken disabled:text-ink-soft disabled:opacity-60"
              onClick={() => {
                close();
                item.onChoose();
              }}
            >
              {item.label}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
