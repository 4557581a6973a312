/** Instants and durations on screen: local or relative, always with the UTC instant as title. */
import { formatAgo, formatDuration, formatLocal, formatUtc } from "../time/format";
import { useNowMs } from "../time/now";

export function Ago({ instantMs }: { instantMs: number }) {
  return (
    <time dateTime={new Date(instantMs).toISOString()} title={formatUtc(instantMs)} className="whitespace-nowrap">
      {formatAgo(instantMs, useNowMs())}
    </time>
  );
}

export function LocalTime({ instantMs }: { instantMs: number }) {
  return (
    <time dateTime={new Date(instantMs).toISOString()} title={formatUtc(instantMs)} className="whitespace-nowrap">
      {formatLocal(instantMs)}
    </time>
  );
}

interface Span {
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly duration: number | null;
}

/** How long something took, or has been running so far. */
export function Took({ span, live }: { span: Span; live: boolean }) {
  const now = useNowMs();
  if (span.startedAt === null) return <span className="text-ink-soft">–</span>;
  const durationMs = span.duration ?? (span.finishedAt ?? now) - span.startedAt;
  const words = span.finishedAt === null && !live ? "–" : formatDuration(live ? floorToSecond(durationMs) : durationMs);
  return <span className="whitespace-nowrap tabular-nums">{words}</span>;
}

/** A running clock that shows hundredths only distracts. */
function floorToSecond(durationMs: number): number {
  return durationMs < 1_000 ? durationMs : Math.floor(durationMs / 1_000) * 1_000;
}
