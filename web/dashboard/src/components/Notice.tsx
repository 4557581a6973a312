/** Messages that stand where content would: errors, empty lists, things that do not exist. */
import type { ReactNode } from "react";

import { adviceOn, ApiError } from "../services/http";
import { Button } from "./ui/button";
import { cn } from "./ui/classes";

export function Notice({
  title,
  children,
  action,
  level: Heading = "h2",
}: {
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  /** A notice that stands for a whole page is its `h1`. */
  level?: "h1" | "h2";
}) {
  return (
    <div className="mx-auto flex max-w-xl flex-col items-start gap-3 px-6 py-12">
      <Heading className="text-lg font-semibold">{title}</Heading>
      {children !== undefined && <div className="space-y-3 text-ink-soft">{children}</div>}
      {action}
    </div>
  );
}

/** What a role does not allow is not tried again: it needs another role first. */
export function ErrorNotice({ error, onRetry }: { error: Error; onRetry?: () => void }) {
  const isRefused = error instanceof ApiError && error.status === 401;
  return (
    <div role="alert">
      <Notice
        title={isRefused ? "Your role does not allow this" : "This could not be loaded"}
        action={!isRefused && onRetry && <Button onClick={onRetry}>Try again</Button>}
      >
        <p className="break-words">{error.message}</p>
        {isRefused && <p>Ask an owner or an administrator of this tenant.</p>}
      </Notice>
    </div>
  );
}

/** Shown above data that is still there while the engine has stopped answering. */
export function StaleBanner({ error }: { error: Error }) {
  return (
    <p role="alert" className="mb-4 rounded-md border border-failed bg-failed-soft px-3 py-2 text-sm text-failed">
      {error.message} What you see may be out of date; trying again.
    </p>
  );
}

export function Loading({ label }: { label: string }) {
  return (
    <p role="status" className="px-6 py-12 text-center text-ink-soft">
      {label}
    </p>
  );
}

/** Why the engine did not do what it was asked for, and what helps. */
export function Refusal({ error, className }: { error: Error; className?: string }) {
  const advice = adviceOn(error);
  return (
    <p role="alert" className={cn("text-sm break-words text-failed", className)}>
      {error.message}
      {advice !== null && <span className="block text-ink-soft">{advice}</span>}
    </p>
  );
}
