import { STATUS_LOOKS, type ShownStatus } from "./status";
import { cn } from "./ui/classes";

export function StatusPill({ status, className }: { status: ShownStatus; className?: string }) {
  const look = STATUS_LOOKS[status];
  return (
    <span
      data-testid="status"
      data-status={status}
      className={cn(
        "inline-flex items-center gap-1.5 rounded-full py-0.5 pr-2.5 pl-1.5 text-xs font-medium whitespace-nowrap",
        look.pill,
        className,
      )}
    >
      <StatusIcon status={status} />
      {look.label}
    </span>
  );
}

export function StatusIcon({ status, className }: { status: ShownStatus; className?: string }) {
  return (
    <svg
      viewBox="0 0 16 16"
      aria-hidden="true"
      className={cn("size-3.5 shrink-0 fill-none stroke-current", status === "RUNNING" && "animate-spin", className)}
      strokeWidth="2"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {status === "QUEUED" && <path d="M8 4.5 V8 L10.5 9.5 M14 8 A6 6 0 1 1 2 8 A6 6 0 0 1 14 8 Z" />}
      {status === "RUNNING" && <path d="M14 8 A6 6 0 1 1 8 2" />}
      {status === "COMPLETED" && <path d="M3 8.5 L6.5 12 L13 4.5" />}
      {status === "FAILED" && <path d="M4 4 L12 12 M12 4 L4 12" />}
      {status === "CANCELLED" && <path d="M3.8 3.8 L12.2 12.2 M14 8 A6 6 0 1 1 2 8 A6 6 0 0 1 14 8 Z" />}
      {status === "PENDING" && <path strokeDasharray="2 3" d="M14 8 A6 6 0 1 1 2 8 A6 6 0 0 1 14 8 Z" />}
      {status === "SKIPPED" && <path d="M3 4 L8 8 L3 12 M8 4 L13 8 L8 12" />}
    </svg>
  );
}
