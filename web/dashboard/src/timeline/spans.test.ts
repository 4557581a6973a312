import { expect, test } from "vitest";

import type { Span } from "../services/traces";
import { nestSpans, spanLabel } from "./spans";

function span(spanId: string, parentSpanId: string | null, changes: Partial<Span> = {}): Span {
  return {
    traceId: "t",
    spanId,
    parentSpanId,
    spanName: spanId,
    serviceName: "shop",
    statusCode: "OK",
    statusMessage: null,
    durationNs: 1_000_000,
    createdAt: 1_000,
    spanAttributes: {},
    ...changes,
  };
}

const attempt = span("attempt", "run", {
  spanName: "hatchet.engine.start_step_run",
  spanAttributes: { "hatchet.step_run_id": "t1", "hatchet.task_name": "charge" },
});

test("spans stand under the task whose attempt their parents lead to", () => {
  const nested = nestSpans([attempt, span("http", "attempt"), span("sql", "http"), span("stranger", "elsewhere")], new Set(["t1"]));
  expect(nested.get("t1")?.map((item) => [item.span.spanId, item.depth])).toEqual([
    ["http", 0],
    ["sql", 1],
  ]);
});

test("a span whose parent nobody sent stands under the task it names", () => {
  const orphan = span("orphan", "never-sent", { spanAttributes: { "hatchet.step_run_id": "t1" } });
  expect(nestSpans([orphan, span("below", "orphan")], new Set(["t1"])).get("t1")).toHaveLength(2);
  expect(nestSpans([orphan], new Set(["t2"])).size).toBe(0);
});

test("a circle of parents ends", () => {
  const circle = [attempt, span("a", "b"), span("b", "a"), span("c", "attempt"), span("attempt2", "c")];
  expect(nestSpans(circle, new Set(["t1"])).get("t1")).toHaveLength(2);
});

test("the engine's own spans are called as people would", () => {
  expect(spanLabel(attempt)).toBe("charge runs");
  expect(spanLabel(span("GET /rates", null))).toBe("GET /rates");
});
