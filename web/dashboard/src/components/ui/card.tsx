import type { ComponentProps, ReactNode } from "react";

import { cn } from "./classes";

export function Card({ className, ...props }: ComponentProps<"section">) {
  return <section className={cn("rounded-lg border border-line bg-card shadow-xs", className)} {...props} />;
}

export function CardHeader({ title, children }: { title: ReactNode; children?: ReactNode }) {
  return (
    <header className="flex min-h-11 flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-1.5">
      <h2 className="text-sm font-semibold">{title}</h2>
      {children}
    </header>
  );
}
