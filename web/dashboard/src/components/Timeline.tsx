/**
 * The tasks of a run, each with its bars on a common time axis: what it waited for, and how long every attempt ran. A
 * replay has an axis of its own. The axis is zoomed by drawing over it or with the buttons; spans unfold below the tasks.
 */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import type { Step } from "../graph/steps";
import { runSpansQuery } from "../services/traces";
import type { RunDetails } from "../services/schemas";
import { formatDuration, formatLocal } from "../time/format";
import { useNowMs } from "../time/now";
import { eventsByTask, roundsOf, taskSegments, type Segment, type SegmentKind } from "../timeline/segments";
import { nestSpans } from "../timeline/spans";
import { isTerminal } from "../services/runs";
import { SpanDetails } from "./SpanDetails";
import { spanRow } from "./spanRow";
import { StatusPill } from "./StatusPill";
import type { Stretch } from "./TimeAxis";
import { Took } from "./Times";
import { Button } from "./ui/button";
import { CardHeader } from "./ui/card";
import { cn } from "./ui/classes";
import { Waterfall, type WaterfallRow } from "./Waterfall";

const BAR_LOOKS: Readonly<Record<SegmentKind, { bar: string; word: string }>> = {
  held: { bar: "bg-queued opacity-20", word: "waited for its conditions" },
  queued: { bar: "bg-queued opacity-40", word: "was in the queue" },
  backoff: { bar: "bg-cancelled opacity-30", word: "waited for its retry" },
  evicted: { bar: "bg-running opacity-25", word: "waited off its worker" },
  running: { bar: "bg-running", word: "has been running for" },
  completed: { bar: "bg-completed", word: "ran" },
  failed: { bar: "bg-failed", word: "failed after" },
  cancelled: { bar: "bg-cancelled", word: "was cancelled after" },
};
const LEGEND: readonly (readonly [SegmentKind, string])[] = [
  ["held", "conditions"],
  ["queued", "queue"],
  ["backoff", "retry wait"],
  ["evicted", "off its worker"],
  ["completed", "ran"],
  ["failed", "failed"],
];

export function Timeline({
  tenantId,
  details,
  steps,
  chosenId,
  onChoose,
  round: asked,
  onRound,
}: {
  tenantId: string;
  details: RunDetails;
  steps: readonly Step[];
  chosenId: string | null;
  onChoose: (stepId: string) => void;
  /** Which round is shown, from 0; null for the latest. */
  round: number | null;
  onRound: (round: number | null) => void;
}) {
  const now = useNowMs();
  const [zoom, setZoom] = useState<Stretch | null>(null);
  const [withSpans, setWithSpans] = useState(false);
  const [chosenSpanId, setChosenSpanId] = useState<string | null>(null);
  const spans = useQuery({ ...runSpansQuery(tenantId, details.run.metadata.id), enabled: withSpans });

  const own = useMemo(() => eventsByTask(details.taskEvents), [details.taskEvents]);
  const createdAt = details.run.createdAt ?? details.run.metadata.createdAt;
  const rounds = useMemo(() => roundsOf(details.taskEvents, createdAt), [details.taskEvents, createdAt]);
  const at = Math.min(asked ?? rounds.length - 1, rounds.length - 1);
  const round = useMemo(() => rounds[at] ?? { startMs: createdAt, endMs: null, replayed: 0 }, [rounds, at, createdAt]);
  const nested = useMemo(
    () => nestSpans(spans.data ?? [], new Set(details.tasks.map((task) => task.taskExternalId))),
    [spans.data, details.tasks],
  );
  const parts = useMemo(
    () =>
      steps.map((step) => {
        const task = step.task;
        const segments = task === null ? [] : taskSegments(task, own.get(task.taskExternalId) ?? [], round);
        const below = task === null || !withSpans ? [] : (nested.get(task.taskExternalId) ?? []);
        const inRound = below.filter(
          ({ span }) => span.createdAt >= round.startMs && (round.endMs === null || span.createdAt < round.endMs),
        );
        return { step, segments, spans: inRound };
      }),
    [steps, own, round, nested, withSpans],
  );
  const all = parts.flatMap(({ segments }) => segments);
  const chosenSpan = parts.flatMap((part) => part.spans).find(({ span }) => span.spanId === chosenSpanId)?.span;
  const rows = parts.flatMap((part): WaterfallRow[] => [
    taskRow(part.step, part.segments, now, part.step.id === chosenId, onChoose),
    ...part.spans.map((one) => {
      const id = one.span.spanId;
      return spanRow({ ...one, depth: one.depth + 1 }, id === chosenSpanId, () => setChosenSpanId(id === chosenSpanId ? null : id));
    }),
  ]);

  return (
    <>
      <CardHeader title={steps.length === 1 ? "Task" : `Tasks (${steps.length})`}>
        <div className="flex flex-wrap items-center gap-2">
          {rounds.length > 1 && (
            <select
              aria-label="Replay"
              value={at}
              onChange={(event) => {
                const chosen = Number(event.target.value);
                setZoom(null);
                onRound(chosen === rounds.length - 1 ? null : chosen);
              }}
              className="h-6 max-w-44 rounded-md border border-line bg-card px-1 text-xs"
            >
              {rounds.map((item, index) => (
                <option key={item.startMs} value={index}>
                  {index === 0 ? "First run" : `Replay ${index} of ${item.replayed} ${item.replayed === 1 ? "task" : "tasks"}`} ·{" "}
                  {formatLocal(item.startMs)}
                </option>
              ))}
            </select>
          )}
          <Button size="small" aria-pressed={withSpans} onClick={() => setWithSpans(!withSpans)}>
            {withSpans && spans.isFetching && spans.data === undefined ? "Spans…" : "Spans"}
          </Button>
        </div>
      </CardHeader>
      {spans.error !== null && (
        <p role="alert" className="px-4 py-2 text-sm text-failed">
          The spans could not be loaded: {spans.error.message}
        </p>
      )}
      {withSpans && spans.data !== undefined && nested.size === 0 && (
        <p className="px-4 py-2 text-sm text-ink-soft">
          No spans came for this run. A worker sends them when its SDK is set up with OpenTelemetry.
        </p>
      )}
      <Waterfall label="Tasks" rows={rows} zoom={zoom} onZoom={setZoom} />
      {chosenSpan !== undefined && <SpanDetails span={chosenSpan} startMs={round.startMs} />}
      <ul className="flex flex-wrap gap-x-4 gap-y-1 border-t border-line px-4 py-2 text-xs text-ink-soft" aria-label="Colours">
        {LEGEND.filter(([kind]) => all.some((segment) => segment.kind === kind)).map(([kind, word]) => (
          <li key={kind} className="flex items-center gap-1.5">
            <span aria-hidden="true" className={cn("h-2.5 w-4 rounded-sm", BAR_LOOKS[kind].bar)} />
            {word}
          </li>
        ))}
      </ul>
    </>
  );
}

function taskRow(
  step: Step,
  segments: readonly Segment[],
  now: number,
  isChosen: boolean,
  onChoose: (stepId: string) => void,
): WaterfallRow {
  // Between two ticks of the clock something may have started "in the future".
  const endOf = (segment: Segment) => segment.endMs ?? Math.max(now, segment.startMs);
  const bars = segments.map((segment) => ({
    look: BAR_LOOKS[segment.kind].bar,
    title: `${BAR_LOOKS[segment.kind].word} ${formatDuration(endOf(segment) - segment.startMs)}`,
    startMs: segment.startMs,
    endMs: endOf(segment),
  }));
  return {
    id: step.id,
    kind: "task",
    depth: 0,
    name: step.name,
    of: null,
    state: <StatusPill status={step.status} />,
    bars,
    words: `${step.name} ${bars.map((bar) => bar.title).join(", ") || "did not run here"}`,
    took: step.task === null ? "–" : <Took span={step.task} live={!isTerminal(step.task.status)} />,
    isChosen,
    onChoose: step.task === null ? null : () => onChoose(step.id),
  };
}
