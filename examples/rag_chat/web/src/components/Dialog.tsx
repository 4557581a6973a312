import { useId, useLayoutEffect, useRef, type ReactNode } from "react";
import { CloseIcon } from "./icons";

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
}

/** A question in front of the page. The browser keeps the focus inside and gives it back; Escape closes. */
export function Dialog({ title, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const name = useId();
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  const closed = () => {
    // The event of an earlier closing may arrive when it is open again.
    if (dialog.current?.open === false) onClose();
  };
  return (
    <dialog ref={dialog} aria-labelledby={name} onClose={closed}>
      <h2 id={name}>{title}</h2>
      <button type="button" className="icon close" aria-label="Close" onClick={() => dialog.current?.close()}>
        <CloseIcon />
      </button>
      {children}
    </dialog>
  );
}
