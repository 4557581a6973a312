/** The frame of the pages that somebody sees who is not signed in yet: the mark, a title, and fields. */
import type { ComponentProps, ReactNode } from "react";

import { AxeMark } from "../AxeMark";
import { Card } from "../ui/card";

export function EntryFrame({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <Card className="w-full max-w-sm p-8">
        <AxeMark className="mx-auto size-14" />
        <h1 className="mt-3 text-center text-xl font-semibold break-words">{title}</h1>
        {children}
      </Card>
    </main>
  );
}

export function EntryField({ label, hint, ...input }: { label: string; hint?: string } & ComponentProps<"input">) {
  return (
    <label className="block text-sm font-medium">
      {label}
      <input required className="mt-1 h-9 w-full rounded-md border border-line-strong bg-card px-3 font-normal" {...input} />
      {hint !== undefined && <span className="mt-1 block text-xs font-normal text-ink-soft">{hint}</span>}
    </label>
  );
}

/** Asked for once the engine has said that it wants one. */
export function CodeField() {
  return (
    <EntryField
      label="Code"
      name="code"
      autoComplete="one-time-code"
      maxLength={64}
      hint="Of your authenticator app, or a recovery code."
    />
  );
}

export function textOf(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}
