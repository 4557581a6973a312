/** A modal dialog on the browser's own element: focus stays inside, Escape closes, and focus returns afterwards. */
import { useId, useLayoutEffect, useRef, type ReactNode } from "react";

import { Button } from "./button";
import { cn } from "./classes";

export type Width = boolean | "very";

export function Dialog({
  title,
  onClose,
  wide = false,
  children,
}: {
  title: string;
  onClose: () => void;
  wide?: Width;
  children: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();

  // Closed before it leaves the document: only then does the browser give the focus back to where it was.
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    // The browser would choose the button that closes it, which comes first.
    element?.querySelector<HTMLElement>("input:not(:disabled), select:not(:disabled), textarea:not(:disabled)")?.focus();
    return () => element?.close();
  }, []);

  return (
    <dialog
      ref={dialog}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      className={cn(
        "m-auto max-h-[90dvh] w-[calc(100vw-2rem)] overflow-auto rounded-lg border border-line bg-card p-0 text-ink shadow-lg backdrop:bg-black/40",
        wide === "very" ? "max-w-5xl" : wide ? "max-w-3xl" : "max-w-lg",
      )}
    >
      <header className="flex items-center justify-between gap-3 border-b border-line px-4 py-2.5">
        <h2 id={titleId} className="text-base font-semibold">
          {title}
        </h2>
        <Button variant="ghost" size="small" aria-label="Close" onClick={onClose}>
          ✕
        </Button>
      </header>
      <div className="p-4">{children}</div>
    </dialog>
  );
}

/** The row of buttons at the end of a form or a dialog. */
export function Actions({ children }: { children: ReactNode }) {
  return <div className="mt-4 flex flex-wrap justify-end gap-2">{children}</div>;
}
