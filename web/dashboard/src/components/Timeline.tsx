/**
 * The tasks of a run, each with its bars on a common time axis: what it waited for, and how long every attempt ran. A
 * replay has an axis of its own. The axis is zoomed by drawing over it or with the buttons; spans unfold below the tasks.
 */
import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState, type ReactNode } from "react";

import type { Step } from "../graph/steps";
import { runSpansQuery } from "../services/traces";
import type { RunDetails } from "../services/schemas";
import { formatDuration, formatLocal } from "../time/format";
import { useNowMs } from "../time/now";
import { eventsByTask, roundsOf, taskSegments, type Segment, type SegmentKind } from "../timeline/segments";
import { nestSpans, spanLabel, type NestedSpan } from "../timeline/spans";
import { StatusPill } from "./StatusPill";
import { Took } from "./Times";
import { isTerminal } from "../services/runs";
import { TimeAxis, type Stretch } from "./TimeAxis";
import { Button } from "./ui/button";
import { CardHeader } from "./ui/card";
import { cn } from "./ui/classes";

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

/** A bar shorter than this cannot be seen. */
const BAR_WIDTH_MIN_PERCENT = 0.6;
/** With more rows than this only those in sight are drawn. */
const DRAWN_ROWS_MAX = 60;
const ROW_PX = 38;
const COLUMNS = "grid grid-cols-[minmax(0,1fr)_7rem_4.5rem] sm:grid-cols-[minmax(0,2fr)_7rem_minmax(0,3fr)_4.5rem] items-center gap-2 px-4";

type Row =
  | { readonly kind: "task"; readonly step: Step; readonly segments: readonly Segment[] }
  | { readonly kind: "span"; readonly nested: NestedSpan };

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
  const rows = useMemo(
    () =>
      steps.flatMap((step): Row[] => {
        const task = step.task;
        const segments = task === null ? [] : taskSegments(task, own.get(task.taskExternalId) ?? [], round);
        const below = task === null || !withSpans ? [] : (nested.get(task.taskExternalId) ?? []);
        const inRound = below.filter(
          ({ span }) => span.createdAt >= round.startMs && (round.endMs === null || span.createdAt < round.endMs),
        );
        return [{ kind: "task", step, segments }, ...inRound.map((item): Row => ({ kind: "span", nested: item }))];
      }),
    [steps, own, round, nested, withSpans],
  );
  const all = rows.flatMap((row) => (row.kind === "task" ? row.segments : []));
  const startMs = all.reduce((least, segment) => Math.min(least, segment.startMs), Infinity);
  // Between two ticks of the clock something may have started "in the future".
  const endMs = all.reduce((most, segment) => Math.max(most, segment.endMs ?? now, segment.startMs), startMs + 1);
  const whole = all.length === 0 ? null : { startMs, endMs };
  const shown = zoom ?? whole;

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
      <Table
        rows={rows}
        head={
          whole !== null && shown !== null ? (
            <TimeAxis whole={whole} shown={shown} onZoom={setZoom} />
          ) : (
            <span className="text-ink-soft">nothing yet</span>
          )
        }
        draw={(row, index) =>
          row.kind === "task" ? (
            <TaskRow key={row.step.id} row={row} index={index} isChosen={row.step.id === chosenId} onChoose={onChoose} shown={shown} now={now} />
          ) : (
            <SpanRow key={row.nested.span.spanId} nested={row.nested} index={index} shown={shown} />
          )
        }
      />
      <ul className="hidden flex-wrap gap-x-4 gap-y-1 border-t border-line px-4 py-2 text-xs text-ink-soft sm:flex" aria-label="Colours">
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

function Table({
  rows,
  head,
  draw,
}: {
  rows: readonly Row[];
  head: ReactNode;
  draw: (row: Row, index: number) => ReactNode;
}) {
  const box = useRef<HTMLDivElement>(null);
  const isPart = rows.length > DRAWN_ROWS_MAX;
  // eslint-disable-next-line react-hooks/incompatible-library -- what it gives is used in this component only
  const virtual = useVirtualizer({
    count: isPart ? rows.length : 0,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 10,
  });
  return (
    <div role="table" aria-label="Tasks" aria-rowcount={rows.length + 1} className="text-left text-sm">
      <div role="rowgroup" className="text-xs text-ink-soft">
        <div role="row" className={cn(COLUMNS, "border-b border-line py-2 font-medium")}>
          <span role="columnheader">Task</span>
          <span role="columnheader">Status</span>
          <span role="columnheader" className="hidden sm:block">
            {head}
          </span>
          <span role="columnheader" className="text-right">
            Duration
          </span>
        </div>
      </div>
      <div
        ref={box}
        role="rowgroup"
        className={cn(isPart && "max-h-[70vh] overflow-y-auto")}
        // A list that scrolls by itself must be reachable by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={isPart ? 0 : undefined}
      >
        <div role="presentation" style={isPart ? { height: virtual.getTotalSize(), position: "relative" } : undefined}>
          {isPart
            ? virtual.getVirtualItems().map((item) => {
                const row = rows[item.index];
                return (
                  row !== undefined && (
                    <div
                      key={item.key}
                      role="presentation"
                      className="absolute inset-x-0 top-0"
                      style={{ height: ROW_PX, transform: `translateY(${item.start}px)` }}
                    >
                      {draw(row, item.index)}
                    </div>
                  )
                );
              })
            : rows.map(draw)}
        </div>
      </div>
    </div>
  );
}

function TaskRow({
  row: { step, segments },
  index,
  isChosen,
  onChoose,
  shown,
  now,
}: {
  row: Extract<Row, { kind: "task" }>;
  index: number;
  isChosen: boolean;
  onChoose: (stepId: string) => void;
  shown: Stretch | null;
  now: number;
}) {
  const words = segments.map(
    (segment) => `${BAR_LOOKS[segment.kind].word} ${formatDuration((segment.endMs ?? now) - segment.startMs)}`,
  );
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      data-testid="task-row"
      className={cn(COLUMNS, "h-[38px] border-b border-line", isChosen ? "bg-accent-soft" : "hover:bg-sunken")}
    >
      <span role="rowheader" className="min-w-0">
        {step.task === null ? (
          <span className="block truncate text-ink-soft" title={step.name}>
            {step.name}
          </span>
        ) : (
          <button
            type="button"
            aria-pressed={isChosen}
            onClick={() => onChoose(step.id)}
            className="block max-w-full truncate text-left font-medium hover:text-accent hover:underline"
            title={step.name}
          >
            {step.name}
          </button>
        )}
      </span>
      <span role="cell">
        <StatusPill status={step.status} />
      </span>
      <span role="cell" className="hidden sm:block">
        <span
          role="img"
          aria-label={`${step.name} ${words.join(", ") || "did not run here"}`}
          className="relative block h-4 overflow-hidden rounded bg-sunken"
        >
          {shown !== null &&
            segments.map((segment, place) => (
              <Bar
                key={`${segment.startMs}-${place}`}
                title={words[place] ?? ""}
                className={BAR_LOOKS[segment.kind].bar}
                startMs={segment.startMs}
                endMs={Math.max(segment.endMs ?? now, segment.startMs)}
                shown={shown}
              />
            ))}
        </span>
      </span>
      <span role="cell" className="text-right">
        {step.task === null ? "–" : <Took span={step.task} live={!isTerminal(step.task.status)} />}
      </span>
    </div>
  );
}

function SpanRow({ nested: { span, depth }, index, shown }: { nested: NestedSpan; index: number; shown: Stretch | null }) {
  const tookMs = span.durationNs / 1_000_000;
  const label = spanLabel(span);
  const words = `${label} of ${span.serviceName} took ${formatDuration(tookMs)}${span.statusMessage === null ? "" : `: ${span.statusMessage}`}`;
  return (
    <div role="row" aria-rowindex={index + 2} data-testid="span-row" className={cn(COLUMNS, "h-[38px] border-b border-line text-xs text-ink-soft")}>
      <span role="rowheader" className="truncate" style={{ paddingLeft: `${0.75 * (Math.min(depth, 8) + 1)}rem` }} title={words}>
        {label}
      </span>
      <span role="cell" className={cn(span.statusCode === "ERROR" && "text-failed")}>
        {span.statusCode === "ERROR" ? "Error" : "Span"}
      </span>
      <span role="cell" className="hidden sm:block">
        <span role="img" aria-label={words} className="relative block h-2.5 overflow-hidden rounded bg-sunken">
          {shown !== null && (
            <Bar
              title={words}
              className={span.statusCode === "ERROR" ? "bg-failed" : "bg-accent"}
              startMs={span.createdAt}
              endMs={span.createdAt + tookMs}
              shown={shown}
            />
          )}
        </span>
      </span>
      <span role="cell" className="text-right tabular-nums">
        {formatDuration(tookMs)}
      </span>
    </div>
  );
}

function Bar({ title, className, startMs, endMs, shown }: { title: string; className: string; startMs: number; endMs: number; shown: Stretch }) {
  const lengthMs = shown.endMs - shown.startMs;
  const left = (100 * (startMs - shown.startMs)) / lengthMs;
  const width = (100 * (endMs - startMs)) / lengthMs;
  if (left > 100 || left + width < 0) return null;
  return (
    <span
      title={title}
      className={cn("absolute inset-y-0.5 rounded-sm", className)}
      style={{ left: `${Math.min(left, 100 - BAR_WIDTH_MIN_PERCENT)}%`, width: `max(${BAR_WIDTH_MIN_PERCENT}%, ${width}%)` }}
    />
  );
}
