/** The spans of a trace on one axis of time, each below its parent; a chosen one shows what it says. */
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import type { Span } from "../services/traces";
import { formatDuration, formatOffset } from "../time/format";
import { inTreeOrder } from "../traces/tree";
import { Card, CardHeader } from "./ui/card";
import { cn } from "./ui/classes";

const INDENT_REM = 0.9;
const INDENTS_MAX = 12;
const WIDTH_MIN_PERCENT = 0.5;

export function SpanWaterfall({ spans }: { spans: readonly Span[] }) {
  const [chosenId, setChosenId] = useState<string | null>(null);
  const placed = inTreeOrder(spans);
  const startMs = Math.min(...spans.map((span) => span.createdAt));
  const endMs = Math.max(startMs + 0.001, ...spans.map((span) => span.createdAt + span.durationNs / 1e6));
  const share = (ms: number) => (100 * ms) / (endMs - startMs);
  return (
    <Card aria-label="Spans">
      <CardHeader title={`${spans.length.toLocaleString()} ${spans.length === 1 ? "span" : "spans"}, ${formatDuration(endMs - startMs)}`} />
      <ul className="divide-y divide-line text-sm">
        {placed.map(({ span, depth }) => {
          const isChosen = span.spanId === chosenId;
          const durationMs = span.durationNs / 1e6;
          return (
            <li key={span.spanId} className="[contain-intrinsic-size:auto_2.25rem] [content-visibility:auto]">
              <button
                type="button"
                aria-expanded={isChosen}
                onClick={() => setChosenId(isChosen ? null : span.spanId)}
                className={cn("grid w-full items-center gap-x-4 gap-y-1 px-4 py-1.5 text-left -outline-offset-2 sm:grid-cols-2", isChosen ? "bg-accent-soft" : "hover:bg-sunken")}
              >
                <span className="flex min-w-0 items-baseline gap-2" style={{ paddingLeft: `${Math.min(depth, INDENTS_MAX) * INDENT_REM}rem` }}>
                  <span className="truncate font-medium" title={span.spanName}>
                    {span.spanName}
                  </span>
                  {span.statusCode === "ERROR" && <span className="shrink-0 text-xs font-semibold text-failed">error</span>}
                  <span className="shrink-0 text-xs text-ink-soft">{span.serviceName}</span>
                  <span className="ml-auto shrink-0 text-xs tabular-nums">{formatDuration(durationMs)}</span>
                </span>
                <span aria-hidden="true" className="relative h-3 rounded bg-sunken">
                  <span
                    className={cn("absolute inset-y-0 rounded-sm", span.statusCode === "ERROR" ? "bg-failed" : "bg-running")}
                    style={{
                      left: `${Math.min(share(span.createdAt - startMs), 100 - WIDTH_MIN_PERCENT)}%`,
                      width: `max(${WIDTH_MIN_PERCENT}%, ${share(durationMs)}%)`,
                    }}
                  />
                </span>
              </button>
              {isChosen && <WhatItSays span={span} startMs={startMs} />}
            </li>
          );
        })}
      </ul>
    </Card>
  );
}

function WhatItSays({ span, startMs }: { span: Span; startMs: number }) {
  const runId = span.spanAttributes["hatchet.workflow_run_id"];
  return (
    <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 bg-sunken px-4 py-2 text-xs [&_dt]:text-ink-soft">
      <dt>Started</dt>
      <dd>{formatOffset(span.createdAt, startMs)}</dd>
      {span.statusMessage !== null && (
        <>
          <dt>Message</dt>
          <dd className="break-words whitespace-pre-wrap text-failed">{span.statusMessage}</dd>
        </>
      )}
      {runId !== undefined && (
        <>
          <dt>Run</dt>
          <dd>
            <Link to="/runs/$id" params={{ id: runId }} className="text-accent underline">
              {runId}
            </Link>
          </dd>
        </>
      )}
      {Object.entries(span.spanAttributes).map(([key, value]) => (
        <div key={key} className="contents">
          <dt className="break-all">{key}</dt>
          <dd className="font-mono break-all">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
