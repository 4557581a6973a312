/** How many rows are chosen, and what can be done with all of them. Not there while none is. */
import type { ReactNode } from "react";

import { Button } from "./ui/button";

export interface Choosing {
  readonly chosen: ReadonlySet<string>;
  readonly onChoose: (chosen: ReadonlySet<string>) => void;
}

export function ChosenBar({ chosen, onChoose, children }: Choosing & { children: ReactNode }) {
  if (chosen.size === 0) return null;
  return (
    <div role="group" aria-label="With the chosen rows" className="mb-3 flex flex-wrap items-center gap-2 rounded-md border border-line bg-card px-4 py-2 text-sm">
      <span>{chosen.size.toLocaleString()} chosen:</span>
      {children}
      <Button size="small" variant="ghost" onClick={() => onChoose(new Set())}>
        Choose none
      </Button>
    </div>
  );
}
