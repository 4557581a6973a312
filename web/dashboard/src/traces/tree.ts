/** The spans of a trace in the order in which they are drawn: each below its parent, siblings by their start. Pure. */
import type { Span } from "../services/traces";

export interface PlacedSpan {
  readonly span: Span;
  readonly depth: number;
}

/** Spans whose parent is not among them stand at the top. What would be its own ancestor does so, too. */
export function inTreeOrder(spans: readonly Span[]): readonly PlacedSpan[] {
  const ids = new Set(spans.map((span) => span.spanId));
  const children = new Map<string | null, Span[]>();
  for (const span of spans) {
    const parent = span.parentSpanId !== null && ids.has(span.parentSpanId) && span.parentSpanId !== span.spanId ? span.parentSpanId : null;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [span]);
    else siblings.push(span);
  }
  const placed: PlacedSpan[] = [];
  const seen = new Set<string>();
  const stack: PlacedSpan[] = [];
  const push = (parent: string | null, depth: number) => {
    const below = (children.get(parent) ?? []).toSorted((left, right) => right.createdAt - left.createdAt);
    for (const span of below) stack.push({ span, depth });
  };
  const drain = () => {
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      if (seen.has(next.span.spanId)) continue;
      seen.add(next.span.spanId);
      placed.push(next);
      push(next.span.spanId, next.depth + 1);
    }
  };
  push(null, 0);
  drain();
  for (const span of spans) {
    if (!seen.has(span.spanId)) stack.push({ span, depth: 0 });
    drain();
  }
  return placed;
}
