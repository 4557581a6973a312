/**
 * Rows with bars on one axis of time: the tasks of a run, the spans of a trace. The axis is zoomed by drawing over it or with
 * its buttons. On a phone the bars of a row stand below its name. Of many rows only those in sight are drawn.
 */
import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef, type ReactNode } from "react";

import { TimeAxis, type Stretch } from "./TimeAxis";
import { cn } from "./ui/classes";
import { useIsNarrow } from "./useIsNarrow";

export interface WaterfallBar {
  readonly look: string;
  readonly title: string;
  readonly startMs: number;
  readonly endMs: number;
}

export interface WaterfallRow {
  readonly id: string;
  readonly kind: "task" | "span";
  /** How far it is indented. */
  readonly depth: number;
  readonly name: string;
  /** Beside the name: whose it is. */
  readonly of: string | null;
  readonly state: ReactNode;
  readonly bars: readonly WaterfallBar[];
  /** What the bars say. */
  readonly words: string;
  readonly took: ReactNode;
  readonly isChosen: boolean;
  /** Null: there is nothing to look at. */
  readonly onChoose: (() => void) | null;
}

/** A bar shorter than this cannot be seen. */
const BAR_WIDTH_MIN_PERCENT = 0.6;
/** With more rows than this only those in sight are drawn. */
const DRAWN_ROWS_MAX = 60;
const ROW_PX = 38;
const NARROW_ROW_PX = 58;
const INDENT_REM = 0.75;
const INDENTS_MAX = 12;
const COLUMNS =
  "grid grid-cols-[minmax(0,1fr)_auto_4.5rem] sm:grid-cols-[minmax(0,2fr)_7rem_minmax(0,3fr)_4.5rem] content-center items-center gap-x-2 gap-y-1 px-4";
/** The bars: a line of their own on a phone. */
const BARS_CELL = "order-last col-span-3 sm:order-none sm:col-span-1";

export function Waterfall({
  label,
  rows,
  zoom,
  onZoom,
}: {
  /** What the rows are. */
  label: string;
  rows: readonly WaterfallRow[];
  zoom: Stretch | null;
  onZoom: (zoom: Stretch | null) => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const rowPx = useIsNarrow() ? NARROW_ROW_PX : ROW_PX;
  const isPart = rows.length > DRAWN_ROWS_MAX;
  // eslint-disable-next-line react-hooks/incompatible-library -- what it gives is used in this component only
  const virtual = useVirtualizer({
    count: isPart ? rows.length : 0,
    getScrollElement: () => box.current,
    estimateSize: () => rowPx,
    overscan: 10,
  });
  const whole = stretchOf(rows);
  const shown = zoom ?? whole;
  const draw = (row: WaterfallRow, index: number) => <Row key={row.id} row={row} index={index} shown={shown} heightPx={rowPx} />;
  return (
    <div role="table" aria-label={label} aria-rowcount={rows.length + 1} className="text-left text-sm">
      <div role="rowgroup" className="text-xs text-ink-soft">
        <div role="row" className={cn(COLUMNS, "border-b border-line py-2 font-medium")}>
          <span role="columnheader">{label === "Tasks" ? "Task" : "Span"}</span>
          <span role="columnheader">Status</span>
          <div role="columnheader" className={BARS_CELL}>
            {whole !== null && shown !== null ? (
              <TimeAxis whole={whole} shown={shown} onZoom={onZoom} />
            ) : (
              <span className="text-ink-soft">nothing yet</span>
            )}
          </div>
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
                      style={{ height: rowPx, transform: `translateY(${item.start}px)` }}
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

/** From the first bar's start to the last one's end. */
function stretchOf(rows: readonly WaterfallRow[]): Stretch | null {
  let startMs = Infinity;
  let endMs = -Infinity;
  for (const { bars } of rows) {
    for (const bar of bars) {
      startMs = Math.min(startMs, bar.startMs);
      endMs = Math.max(endMs, bar.endMs);
    }
  }
  return startMs === Infinity ? null : { startMs, endMs: Math.max(endMs, startMs + 0.001) };
}

function Row({ row, index, shown, heightPx }: { row: WaterfallRow; index: number; shown: Stretch | null; heightPx: number }) {
  const isTask = row.kind === "task";
  const name = (
    <>
      <span className="truncate" title={row.name}>
        {row.name}
      </span>
      {row.of !== null && <span className="shrink-0 text-xs font-normal text-ink-soft">{row.of}</span>}
    </>
  );
  const look = cn("flex max-w-full items-baseline gap-2", isTask && row.onChoose !== null && "font-medium");
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      data-testid={isTask ? "task-row" : "span-row"}
      style={{ height: heightPx }}
      className={cn(COLUMNS, "border-b border-line", row.isChosen ? "bg-accent-soft" : "hover:bg-sunken")}
    >
      <span role="rowheader" className="min-w-0" style={{ paddingLeft: `${Math.min(row.depth, INDENTS_MAX) * INDENT_REM}rem` }}>
        {row.onChoose === null ? (
          <span className={cn(look, "text-ink-soft")}>{name}</span>
        ) : (
          <button
            type="button"
            aria-pressed={row.isChosen}
            onClick={row.onChoose}
            className={cn(look, "text-left hover:text-accent hover:underline", !isTask && "text-xs")}
          >
            {name}
          </button>
        )}
      </span>
      <span role="cell">{row.state}</span>
      <span role="cell" className={BARS_CELL}>
        <span role="img" aria-label={row.words} className={cn("relative block overflow-hidden rounded bg-sunken", isTask ? "h-4" : "h-2.5")}>
          {shown !== null && row.bars.map((bar, place) => <Bar key={`${bar.startMs}-${place}`} bar={bar} shown={shown} />)}
        </span>
      </span>
      <span role="cell" className={cn("text-right tabular-nums", !isTask && "text-xs text-ink-soft")}>
        {row.took}
      </span>
    </div>
  );
}

function Bar({ bar: { title, look, startMs, endMs }, shown }: { bar: WaterfallBar; shown: Stretch }) {
  const lengthMs = shown.endMs - shown.startMs;
  const left = (100 * (startMs - shown.startMs)) / lengthMs;
  const width = (100 * (endMs - startMs)) / lengthMs;
  if (left > 100 || left + width < 0) return null;
  return (
    <span
      title={title}
      className={cn("absolute inset-y-0.5 rounded-sm", look)}
      style={{ left: `${Math.min(left, 100 - BAR_WIDTH_MIN_PERCENT)}%`, width: `max(${BAR_WIDTH_MIN_PERCENT}%, ${width}%)` }}
    />
  );
}
