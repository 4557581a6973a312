/** Status counts that are also the status filter. None pressed means all are shown. */
import { RUN_STATUSES, type RunStatus } from "../services/schemas";
import type { StatusCounts } from "../services/runSearch";
import { STATUS_LOOKS } from "./status";
import { StatusIcon } from "./StatusPill";
import { cn } from "./ui/classes";

export function StatusChips({
  counts,
  chosen,
  onChange,
}: {
  counts: StatusCounts | null;
  chosen: readonly RunStatus[];
  onChange: (statuses: RunStatus[]) => void;
}) {
  return (
    <div role="group" aria-label="Filter by status" className="flex flex-wrap gap-1.5">
      {RUN_STATUSES.map((status) => {
        const pressed = chosen.includes(status);
        const look = STATUS_LOOKS[status];
        return (
          <button
            key={status}
            type="button"
            aria-pressed={pressed}
            onClick={() => onChange(RUN_STATUSES.filter((other) => (other === status ? !pressed : chosen.includes(other))))}
            className={cn(
              "inline-flex h-8 items-center gap-1.5 rounded-full border px-3 text-sm",
              pressed ? cn(look.pill, look.border, "font-medium") : "border-line bg-card text-ink-soft hover:bg-sunken",
            )}
          >
            <StatusIcon status={status} className={cn(look.text, "animate-none")} />
            {look.label}
            <span className="font-semibold text-ink tabular-nums">{counts === null ? "·" : counts[status].toLocaleString()}</span>
          </button>
        );
      })}
    </div>
  );
}
