/** A button for what cannot be taken back: it asks first, says what will happen, and shows why it did not. */
import { useState, type ReactNode } from "react";

import { FormDialog } from "./FormDialog";
import { Button } from "./ui/button";

export function ConfirmButton({
  label,
  title,
  children,
  confirm,
  act,
  onOpen,
  onDone,
  size = "small",
  disabled = false,
  canConfirm = true,
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
  /** Whoever has to look up what will happen begins now. */
  onOpen?: () => void;
  onDone?: () => void;
  size?: "small" | "regular";
  disabled?: boolean;
  /** False while it is not known what would happen. */
  canConfirm?: boolean;
  accessibleName?: string;
}) {
  const [asks, setAsks] = useState(false);
  return (
    <>
      <Button
        variant="danger"
        size={size}
        disabled={disabled}
        aria-label={accessibleName}
        onClick={() => {
          setAsks(true);
          onOpen?.();
        }}
      >
        {label}
      </Button>
      {asks && (
        <FormDialog
          title={title}
          onClose={() => setAsks(false)}
          problems={{}}
          act={act}
          canSubmit={canConfirm}
          submit={confirm}
          submitting={confirm}
          close="Keep"
          onDone={() => {
            setAsks(false);
            onDone?.();
          }}
        >
          {() => <div className="space-y-2 text-sm">{children}</div>}
        </FormDialog>
      )}
    </>
  );
}
