/** How each status looks and reads; the only place that maps a status to a colour. */
import type { RunStatus } from "../services/schemas";

/** The engine's statuses, and two a step can have in a drawing: not created yet, and skipped by a condition. */
export type ShownStatus = RunStatus | "PENDING" | "SKIPPED";

interface StatusLook {
  readonly label: string;
  readonly pill: string;
  readonly text: string;
  readonly border: string;
}

export const STATUS_LOOKS: Readonly<Record<ShownStatus, StatusLook>> = {
  QUEUED: { label: "Queued", pill: "bg-queued-soft text-queued", text: "text-queued", border: "border-queued" },
  RUNNING: { label: "Running", pill: "bg-running-soft text-running", text: "text-running", border: "border-running" },
  COMPLETED: {
    label: "Completed",
    pill: "bg-completed-soft text-completed",
    text: "text-completed",
    border: "border-completed",
  },
  FAILED: { label: "Failed", pill: "bg-failed-soft text-failed", text: "text-failed", border: "border-failed" },
  CANCELLED: {
    label: "Cancelled",
    pill: "bg-cancelled-soft text-cancelled",
    text: "text-cancelled",
    border: "border-cancelled",
  },
  PENDING: { label: "Not started", pill: "bg-sunken text-ink-soft", text: "text-ink-soft", border: "border-line" },
  SKIPPED: { label: "Skipped", pill: "bg-sunken text-ink-soft", text: "text-ink-soft", border: "border-line" },
};
