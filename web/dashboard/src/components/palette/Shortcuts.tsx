/**
 * What the keyboard does on every page: Ctrl+K (or ⌘K) opens the palette, ? the list of keys, and g with a letter goes to
 * a page. Keys mean what they say while somebody writes or answers a dialog. The palette is loaded when it is first asked for.
 */
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { useLoaded } from "../useLoaded";

export interface PageEntry {
  readonly to: string;
  readonly label: string;
}

const GOES: Readonly<Record<string, string>> = {
  o: "/",
  r: "/runs",
  w: "/workflows",
  k: "/workers",
  l: "/logs",
  c: "/crons",
  s: "/scheduled",
  e: "/events",
};
const GO_WITHIN_MS = 1_500;

const loadPalette = () => import("./Palette");

export function Shortcuts({ tenantId, pages }: { tenantId: string; pages: readonly PageEntry[] }) {
  const [shown, setShown] = useState<"palette" | "keys" | null>(null);
  const navigate = useNavigate();
  const goSince = useRef(0);
  const Palette = useLoaded(loadPalette, shown === "palette")?.Palette;

  useEffect(() => {
    function onKeyDown(event: KeyboardEvent): void {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setShown("palette");
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isBusy(event.target)) return;
      if (event.key === "?") setShown("keys");
      else if (event.key === "g") goSince.current = event.timeStamp;
      else {
        const to = GOES[event.key];
        if (to !== undefined && event.timeStamp - goSince.current < GO_WITHIN_MS) void navigate({ to });
        goSince.current = -Infinity;
      }
    }
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [navigate]);

  const close = () => setShown(null);
  return (
    <>
      <Button size="small" aria-keyshortcuts="Control+K" title="Search and commands" onClick={() => setShown("palette")}>
        Search <kbd aria-hidden="true" className="hidden font-mono text-ink-soft sm:inline">Ctrl K</kbd>
      </Button>
      {shown === "palette" &&
        (Palette === undefined ? (
          <Dialog title="Search and commands" onClose={close}>
            <p role="status" className="text-sm text-ink-soft">
              Loading…
            </p>
          </Dialog>
        ) : (
          <Palette tenantId={tenantId} pages={pages} onClose={close} onKeys={() => setShown("keys")} />
        ))}
      {shown === "keys" && <Keys pages={pages} onClose={close} />}
    </>
  );
}

/** Whether keys go to something that takes them. */
function isBusy(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.closest("input, textarea, select, dialog") !== null);
}

function Keys({ pages, onClose }: { pages: readonly PageEntry[]; onClose: () => void }) {
  const rows: readonly (readonly [string, string])[] = [
    ["Ctrl K", "Search pages, workflows, workers and runs by id, and act"],
    ["?", "This list"],
    ["Ctrl Enter", "Send a form"],
    ["Esc", "Close a dialog"],
    ...Object.entries(GOES).map(([key, to]) => [`g ${key}`, `Go to ${pages.find((page) => page.to === to)?.label ?? to}`] as const),
  ];
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-6 gap-y-2 text-sm">
        {rows.map(([keys, meaning]) => (
          <div key={keys} className="contents">
            <dt>
              <kbd className="rounded border border-line bg-sunken px-1.5 py-0.5 font-mono text-xs">{keys}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
