/** The spans of a trace on one axis of time, each below its parent; a chosen one shows what it says. */
import { useMemo, useState } from "react";

import type { Span } from "../services/traces";
import { formatDuration } from "../time/format";
import { inTreeOrder } from "../traces/tree";
import { SpanDetails } from "./SpanDetails";
import { spanRow } from "./spanRow";
import type { Stretch } from "./TimeAxis";
import { Card, CardHeader } from "./ui/card";
import { Waterfall } from "./Waterfall";

export function SpanWaterfall({ spans }: { spans: readonly Span[] }) {
  const [chosenId, setChosenId] = useState<string | null>(null);
  const [zoom, setZoom] = useState<Stretch | null>(null);
  const placed = useMemo(() => inTreeOrder(spans), [spans]);
  const startMs = spans.reduce((least, span) => Math.min(least, span.createdAt), Infinity);
  const endMs = spans.reduce((most, span) => Math.max(most, span.createdAt + span.durationNs / 1e6), startMs);
  const chosen = spans.find((span) => span.spanId === chosenId);
  const rows = placed.map((one) => {
    const id = one.span.spanId;
    return spanRow(one, id === chosenId, () => setChosenId(id === chosenId ? null : id));
  });
  return (
    <Card aria-label="Spans">
      <CardHeader title={`${spans.length.toLocaleString()} ${spans.length === 1 ? "span" : "spans"}, ${formatDuration(endMs - startMs)}`} />
      <Waterfall label="Spans" rows={rows} zoom={zoom} onZoom={setZoom} />
      {chosen !== undefined && <SpanDetails span={chosen} startMs={startMs} />}
    </Card>
  );
}
