/**
 * Figures over time as a chart to look at and a table to read: the chart is for the eye and the mouse, the table says the
 * same to everybody else. Dragging over the chart chooses a span of time, whole buckets; so does a row of the table.
 */
import { useState, type ReactNode } from "react";

import { formatChartInstant } from "../../time/format";
import { Card, CardHeader } from "../ui/card";
import { cn } from "../ui/classes";
import type { PlotSpan } from "./Plot";
import { LazyPlot } from "./LazyPlot";

export interface Series {
  readonly key: string;
  readonly label: string;
  /** A custom property of the palette, `--failed` for instance. */
  readonly color: string;
  /** What a value of it looks like in words. */
  readonly format: (value: number) => string;
}

/** The values of the series by their keys; null where there is nothing to tell. */
export interface Point {
  readonly atMs: number;
  readonly values: Readonly<Record<string, number | null>>;
}

export interface ChartProps {
  readonly title: string;
  /** Bars stand on each other; lines stand for themselves. */
  readonly kind: "bars" | "lines";
  readonly series: readonly Series[];
  readonly points: readonly Point[];
  /** How long a bucket is. */
  readonly widthMs: number;
  /** Called with a span of time and the series that were shown. */
  readonly onChoose?: (span: PlotSpan, shown: readonly string[]) => void;
  /** What can be done with it, in a sentence. */
  readonly hint?: string;
  /** What the chart does not show by itself, in a sentence. */
  readonly note?: ReactNode;
}

/** What is drawn: the series that are shown. */
export type PlotProps = Omit<ChartProps, "onChoose"> & { readonly onChoose: ((span: PlotSpan) => void) | undefined };

export function TimeChart(props: ChartProps) {
  const { title, points, hint, note, onChoose } = props;
  const [hidden, setHidden] = useState<ReadonlySet<string>>(NOTHING);
  const shown = props.series.filter(({ key }) => !hidden.has(key));
  // With all of them off there would be nothing to look at, so that means all of them on.
  const series = shown.length === 0 ? props.series : shown;
  const drawn: PlotProps = {
    ...props,
    series,
    onChoose: onChoose && ((span) => onChoose(span, series.map(({ key }) => key))),
  };
  const isEmpty = points.every((point) => series.every(({ key }) => (point.values[key] ?? 0) === 0));
  return (
    <Card aria-label={title}>
      <CardHeader title={title}>
        <ul aria-label={`Shown in ${title}`} className="flex flex-wrap gap-1 text-xs">
          {props.series.map(({ key, label, color }) => {
            const isShown = series.some((one) => one.key === key);
            return (
              <li key={key}>
                <button
                  type="button"
                  aria-pressed={isShown}
                  className={cn("flex items-center gap-1.5 rounded-full px-2 py-0.5 hover:bg-sunken", isShown ? "text-ink" : "text-ink-soft line-through")}
                  onClick={() => {
                    const next = new Set(hidden);
                    if (!next.delete(key)) next.add(key);
                    setHidden(next.size === props.series.length ? NOTHING : next);
                  }}
                >
                  <span aria-hidden="true" className="size-2.5 rounded-xs" style={{ background: `var(${color})` }} />
                  {label}
                </button>
              </li>
            );
          })}
        </ul>
      </CardHeader>
      <div className="px-2 pt-3">
        {isEmpty ? (
          <p className="grid h-44 place-items-center text-sm text-ink-soft">Nothing in this time.</p>
        ) : (
          <div role="img" aria-label={`${title}: ${inWords(series, points)}`} className="h-44" data-testid={`chart-${title}`}>
            <LazyPlot {...drawn} />
          </div>
        )}
      </div>
      <div className="flex flex-wrap items-baseline justify-between gap-x-4 px-4 pb-2 text-xs text-ink-soft">
        {hint !== undefined && !isEmpty && <span className="hidden sm:inline">{hint}</span>}
        {note}
      </div>
      {!isEmpty && <FiguresTable {...drawn} />}
    </Card>
  );
}

const NOTHING: ReadonlySet<string> = new Set();

/** The highest value of each series, which is what a glance at the chart tells. */
function inWords(series: readonly Series[], points: readonly Point[]): string {
  return series
    .map(({ key, label, format }) => {
      const highest = Math.max(0, ...points.map((point) => point.values[key] ?? 0));
      return `${label.toLowerCase()} at most ${format(highest)}`;
    })
    .join(", ");
}

function FiguresTable({ title, series, points, widthMs, onChoose }: PlotProps) {
  const [isOpen, setIsOpen] = useState(false);
  const told = points.filter((point) => series.some(({ key }) => (point.values[key] ?? 0) !== 0));
  return (
    <details className="border-t border-line" onToggle={(event) => setIsOpen(event.currentTarget.open)}>
      <summary className="px-4 py-1.5 text-xs text-ink-soft hover:text-ink">As a table</summary>
      {isOpen && (
        <div className="max-h-72 overflow-auto">
          <table aria-label={title} className="w-full text-left text-xs tabular-nums">
            <thead className="text-ink-soft">
              <tr className="border-b border-line">
                <th scope="col" className="px-4 py-1.5 font-medium">
                  From
                </th>
                {series.map(({ key, label }) => (
                  <th key={key} scope="col" className="px-2 py-1.5 font-medium">
                    {label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {told.map((point) => (
                <tr key={point.atMs} className="border-b border-line last:border-0">
                  <th scope="row" className="px-4 py-1 font-normal">
                    {onChoose === undefined ? (
                      formatChartInstant(point.atMs, widthMs)
                    ) : (
                      <button
                        type="button"
                        title="Choose this time"
                        className="text-accent underline"
                        onClick={() => onChoose({ fromMs: point.atMs, toMs: point.atMs + widthMs })}
                      >
                        {formatChartInstant(point.atMs, widthMs)}
                      </button>
                    )}
                  </th>
                  {series.map(({ key, format }) => {
                    const value = point.values[key] ?? null;
                    return (
                      <td key={key} className="px-2 py-1">
                        {value === null ? "–" : format(value)}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
