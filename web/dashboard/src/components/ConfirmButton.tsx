/** A button for what cannot be taken back: it asks first, says what will happen, and shows why it did not. */
import { useMutation } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { Button } from "./ui/button";
import { Actions, Dialog } from "./ui/dialog";

export function ConfirmButton({
  label,
  title,
  children,
  confirm,
  act,
  onDone,
  size = "small",
  disabled = false,
  accessibleName,
}: {
  /** On the button that opens the question. */
  label: string;
  title: string;
  /** What will happen, in a sentence or two. */
  children: ReactNode;
  /** On the button that does it. */
  confirm: string;
  act: () => Promise<unknown>;
  onDone?: () => void;
  size?: "small" | "regular";
  disabled?: boolean;
  accessibleName?: string;
}) {
  const [asks, setAsks] = useState(false);
  const doing = useMutation({
    mutationFn: act,
    onSuccess: () => {
      setAsks(false);
      onDone?.();
    },
  });
  return (
    <>
      <Button variant="danger" size={size} disabled={disabled} aria-label={accessibleName} onClick={() => setAsks(true)}>
        {label}
      </Button>
      {asks && (
        <Dialog title={title} onClose={() => setAsks(false)}>
          <div className="space-y-2 text-sm">{children}</div>
          {doing.error !== null && (
            <p role="alert" className="mt-3 text-sm text-failed">
              {doing.error.message}
            </p>
          )}
          <Actions>
            <Button onClick={() => setAsks(false)}>Keep</Button>
            <Button variant="primary" disabled={doing.isPending} onClick={() => doing.mutate()}>
              {confirm}
            </Button>
          </Actions>
        </Dialog>
      )}
    </>
  );
}
