import type { MouseEvent, ReactNode } from "react";
import { safeLink } from "../services/wire";

interface Props {
  href: string;
  children: ReactNode;
  className?: string;
  label?: string;
  title?: string;
  /** What a plain click does instead of leaving; a new tab can still be asked for. */
  onFollow?: (() => void) | undefined;
}

/** A link to another site, or plain text when the address is not one. */
export function Outward({ href, children, className, label, title, onFollow }: Props) {
  const link = safeLink(href);
  if (link === null) return <span className={className}>{children}</span>;
  const follow = (event: MouseEvent) => {
    if (onFollow === undefined || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    onFollow();
  };
  return (
    <a href={link} target="_blank" rel="noreferrer" className={className} aria-label={label} title={title} onClick={follow}>
      {children}
    </a>
  );
}
