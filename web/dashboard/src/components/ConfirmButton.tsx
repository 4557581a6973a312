/** What cannot be taken back is asked about first: what will happen, and afterwards why it did not. */
import { useState, type ComponentProps, type ReactNode } from "react";

import { FormDialog } from "./FormDialog";
import type { Act } from "./may";
import { Button } from "./ui/button";

interface Question {
  readonly title: string;
  /** What will happen, and to how many, in a sentence or two. */
  readonly children: ReactNode;
  /** On the button that does it. */
  readonly confirm: string;
  readonly act: () => Promise<unknown>;
  readonly onDone?: () => void;
  /** False while it is not known what would happen. */
  readonly canConfirm?: boolean;
}

/** The question alone, for whatever opens it. */
export function Confirmation({ title, children, confirm, act, onDone, canConfirm = true, onClose }: Question & { readonly onClose: () => void }) {
  return (
    <FormDialog
      title={title}
      onClose={onClose}
      problems={{}}
      act={act}
      canSubmit={canConfirm}
      submit={confirm}
      submitting={confirm}
      close="Keep"
      onDone={() => {
        onClose();
        onDone?.();
      }}
    >
      {() => <div className="space-y-2 text-sm">{children}</div>}
    </FormDialog>
  );
}

export function ConfirmButton({
  label,
  accessibleName,
  needs,
  onOpen,
  size = "small",
  variant = "danger",
  className,
  disabled = false,
  ...question
}: Question & {
  /** On the button that opens the question. */
  label: string;
  accessibleName?: string;
  /** Null where it is nobody's business but the person's own. */
  needs: Act | null;
  /** Whoever has to look up what will happen begins now. */
  onOpen?: () => void;
} & Pick<ComponentProps<typeof Button>, "size" | "variant" | "className"> & { disabled?: boolean }) {
  const [asks, setAsks] = useState(false);
  return (
    <>
      <Button
        variant={variant}
        size={size}
        className={className}
        disabled={disabled}
        aria-label={accessibleName}
        needs={needs}
        onClick={() => {
          setAsks(true);
          onOpen?.();
        }}
      >
        {label}
      </Button>
      {asks && <Confirmation {...question} onClose={() => setAsks(false)} />}
    </>
  );
}
