/** What happened, newest first, each with the time since the first event. */
import type { TaskEvent } from "../services/schemas";
import { formatOffset, formatUtc } from "../time/format";
import { errorSummary } from "./errorSummary";
import { cn } from "./ui/classes";

const DOTS: Readonly<Record<string, string>> = {
  STARTED: "bg-running",
  FINISHED: "bg-completed",
  SKIPPED: "bg-completed",
  FAILED: "bg-failed",
  TIMED_OUT: "bg-failed",
  SCHEDULING_TIMED_OUT: "bg-failed",
  RATE_LIMIT_ERROR: "bg-failed",
  COULD_NOT_SEND_TO_WORKER: "bg-failed",
  CANCELLED: "bg-cancelled",
  RETRYING: "bg-accent",
  RETRIED_BY_USER: "bg-accent",
  REASSIGNED: "bg-accent",
};

export function EventTimeline({ events, nameOf }: { events: readonly TaskEvent[]; nameOf?: (taskId: string) => string }) {
  // Events of one instant keep the engine's order (oldest first); their ids are only names.
  const inOrder = events.toSorted((left, right) => left.timestamp - right.timestamp);
  const first = inOrder[0];
  if (first === undefined) return <p className="px-4 py-6 text-sm text-ink-soft">Nothing has happened yet.</p>;
  const attempts = new Set(events.map((event) => event.attempt)).size;

  return (
    <ol aria-label="Events, newest first" className="max-h-96 space-y-3 overflow-y-auto px-4 py-4">
      {inOrder.toReversed().map((event) => (
        <li key={event.id} data-testid="event" className="flex gap-3">
          <span aria-hidden="true" className={cn("mt-1.5 size-2 shrink-0 rounded-full", DOTS[event.eventType] ?? "bg-queued")} />
          <div className="min-w-0 flex-1 text-sm">
            <span className="font-medium">{readable(event.eventType)}</span>
            {nameOf !== undefined && <span className="text-ink-soft"> · {nameOf(event.taskId)}</span>}
            {attempts > 1 && event.attempt !== null && <span className="text-ink-soft"> · attempt {event.attempt}</span>}
            {event.message !== "" && <p className="break-words text-ink-soft">{event.message}</p>}
            {event.errorMessage !== null && (
              <p title={event.errorMessage} className="line-clamp-3 font-mono text-xs break-words text-failed">
                {errorSummary(event.errorMessage)}
              </p>
            )}
          </div>
          <time
            dateTime={new Date(event.timestamp).toISOString()}
            title={formatUtc(event.timestamp)}
            className="shrink-0 text-xs text-ink-soft tabular-nums"
          >
            {formatOffset(event.timestamp, first.timestamp)}
          </time>
        </li>
      ))}
    </ol>
  );
}

function readable(eventType: string): string {
  const words = eventType.toLowerCase().replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
