import { expect, test } from "vitest";

import type { Span } from "../services/traces";
import { inTreeOrder } from "./tree";

function aSpan(spanId: string, parentSpanId: string | null, createdAt: number): Span {
  return {
    traceId: "t",
    spanId,
    parentSpanId,
    spanName: spanId,
    serviceName: "shop",
    statusCode: "OK",
    statusMessage: null,
    durationNs: 1,
    createdAt,
    spanAttributes: {},
  };
}

const drawn = (...spans: Span[]) => inTreeOrder(spans).map(({ span, depth }) => `${"-".repeat(depth)}${span.spanId}`);

test("children stand below their parent, by their start", () => {
  expect(drawn(aSpan("b", "a", 3), aSpan("c", "a", 2), aSpan("d", "c", 4), aSpan("a", null, 1), aSpan("e", "gone", 9))).toEqual([
    "a",
    "-c",
    "--d",
    "-b",
    "e",
  ]);
});

test("spans that are each other's parents are shown all the same, each once", () => {
  expect(drawn(aSpan("a", "b", 1), aSpan("b", "a", 2), aSpan("c", "c", 3)).toSorted()).toEqual(["-b", "a", "c"].toSorted());
});
