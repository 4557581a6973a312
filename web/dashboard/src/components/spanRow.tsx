/** A span as a row among others on an axis of time. */
import type { PlacedSpan } from "../traces/tree";
import { formatDuration } from "../time/format";
import { spanLabel } from "../timeline/spans";
import type { WaterfallRow } from "./Waterfall";

export function spanRow({ span, depth }: PlacedSpan, isChosen: boolean, onChoose: () => void): WaterfallRow {
  const tookMs = span.durationNs / 1_000_000;
  const name = spanLabel(span);
  const words = `${name} of ${span.serviceName} took ${formatDuration(tookMs)}${span.statusMessage === null ? "" : `: ${span.statusMessage}`}`;
  const hasFailed = span.statusCode === "ERROR";
  return {
    id: span.spanId,
    kind: "span",
    depth,
    name,
    of: span.serviceName,
    state: <span className={hasFailed ? "text-xs font-semibold text-failed" : "text-xs text-ink-soft"}>{hasFailed ? "Error" : "Span"}</span>,
    bars: [
      { look: hasFailed ? "bg-failed" : "bg-accent", title: words, startMs: span.createdAt, endMs: span.createdAt + tookMs },
    ],
    words,
    took: formatDuration(tookMs),
    isChosen,
    onChoose,
  };
}
