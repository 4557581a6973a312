import type { ReactNode } from "react";

/** The title of a page, where its chapter in the documentation is, and what can be done on it. */
export function PageHeader({ title, docs, children }: { title: ReactNode; docs?: string; children?: ReactNode }) {
  return (
    <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
      <div className="flex min-w-0 flex-wrap items-baseline gap-x-3 gap-y-1">
        <h1 className="text-xl font-semibold break-words">{title}</h1>
        {docs !== undefined && <DocsLink to={docs} />}
      </div>
      <div className="flex flex-wrap gap-2">{children}</div>
    </div>
  );
}

/** `to` is a chapter and its heading: `console#one-run`. */
export function DocsLink({ to }: { to: string }) {
  return (
    <a href={`/docs/${to}`} target="_blank" rel="noreferrer" className="text-sm text-ink-soft underline hover:text-ink">
      Documentation
    </a>
  );
}
