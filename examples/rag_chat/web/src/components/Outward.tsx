import type { ReactNode } from "react";
import { safeLink } from "../services/wire";

interface Props {
  href: string;
  children: ReactNode;
  className?: string;
  label?: string;
  title?: string;
}

/** A link to another site, or plain text when the address is not one. */
export function Outward({ href, children, className, label, title }: Props) {
  const link = safeLink(href);
  if (link === null) return <span className={className}>{children}</span>;
  return (
    <a href={link} target="_blank" rel="noreferrer" className={className} aria-label={label} title={title}>
      {children}
    </a>
  );
}
