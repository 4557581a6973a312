/** Labelled inputs. What is wrong with a value stands under it and is read out with it. */
import { useId, type ComponentProps, type ReactNode } from "react";

import { cn } from "./classes";

const LOOK = "w-full rounded-md border border-line bg-card px-2.5 text-sm text-ink aria-invalid:border-failed";

export function Field({
  label,
  hint,
  error,
  children,
}: {
  label: string;
  hint?: ReactNode;
  error?: string | null | undefined;
  children: (props: { id: string; "aria-describedby": string | undefined; "aria-invalid": boolean }) => ReactNode;
}) {
  const id = useId();
  const isWrong = error !== undefined && error !== null;
  const describedBy = [hint === undefined ? null : `${id}-hint`, isWrong ? `${id}-error` : null].filter((part) => part !== null);
  return (
    <div className="mb-3">
      <label htmlFor={id} className="mb-1 block text-sm font-medium">
        {label}
      </label>
      {children({
        id,
        "aria-describedby": describedBy.length === 0 ? undefined : describedBy.join(" "),
        "aria-invalid": isWrong,
      })}
      {hint !== undefined && (
        <p id={`${id}-hint`} className="mt-1 text-xs text-ink-soft">
          {hint}
        </p>
      )}
      {isWrong && (
        <p id={`${id}-error`} role="alert" className="mt-1 text-xs break-words text-failed">
          {error}
        </p>
      )}
    </div>
  );
}

export function Input({ className, ...props }: ComponentProps<"input">) {
  return <input className={cn(LOOK, "h-8", className)} {...props} />;
}

export function Select({ className, ...props }: ComponentProps<"select">) {
  return <select className={cn(LOOK, "h-8", className)} {...props} />;
}

export function TextArea({ className, ...props }: ComponentProps<"textarea">) {
  return <textarea spellCheck={false} className={cn(LOOK, "min-h-24 py-1.5 font-mono text-xs leading-relaxed", className)} {...props} />;
}
