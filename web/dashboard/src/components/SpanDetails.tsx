/** What a span says beside its times: its message, its run, its attributes. */
import { Link } from "@tanstack/react-router";

import type { Span } from "../services/traces";
import { formatOffset } from "../time/format";

/** `startMs` is that of the trace. */
export function SpanDetails({ span, startMs }: { span: Span; startMs: number }) {
  const runId = span.spanAttributes["hatchet.workflow_run_id"];
  return (
    <dl
      aria-label={`What ${span.spanName} says`}
      className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 border-t border-line bg-sunken px-4 py-2 text-xs [&_dt]:text-ink-soft"
    >
      <dt>Span</dt>
      <dd className="font-medium break-words">{span.spanName}</dd>
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
