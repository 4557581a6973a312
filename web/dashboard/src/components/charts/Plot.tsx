/** The drawing itself. Everything it shows stands in the table of `TimeChart` as well. */
import { useState } from "react";
import { Bar, BarChart, CartesianGrid, Line, LineChart, ReferenceArea, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";

import { formatChartInstant } from "../../time/format";
import type { PlotProps, Series } from "./TimeChart";

export interface PlotSpan {
  readonly fromMs: number;
  readonly toMs: number;
}

const AXIS = { stroke: "var(--line-strong)", tick: { fill: "var(--ink-soft)", fontSize: 11 } } as const;

interface Drag {
  readonly startMs: number;
  readonly endMs: number;
}

export function Plot({ kind, series, points, widthMs, onChoose }: PlotProps) {
  const [drag, setDrag] = useState<Drag | null>(null);
  const rows = points.map((point) => ({ atMs: point.atMs, ...point.values }));
  const first = series[0];
  const canChoose = onChoose !== undefined;

  function choose(): void {
    if (drag === null || onChoose === undefined) return;
    const [fromMs, lastMs] = [Math.min(drag.startMs, drag.endMs), Math.max(drag.startMs, drag.endMs)];
    setDrag(null);
    onChoose({ fromMs, toMs: lastMs + widthMs });
  }

  const common = {
    data: rows,
    margin: { top: 4, right: 8, bottom: 0, left: 0 },
    accessibilityLayer: false,
    style: { cursor: canChoose ? "crosshair" : "default", userSelect: "none" as const },
    onMouseDown: ({ activeLabel }: { activeLabel?: string | number | undefined }) => {
      if (canChoose && activeLabel !== undefined) setDrag({ startMs: Number(activeLabel), endMs: Number(activeLabel) });
    },
    onMouseMove: ({ activeLabel }: { activeLabel?: string | number | undefined }) => {
      if (activeLabel !== undefined) setDrag((now) => (now === null ? null : { ...now, endMs: Number(activeLabel) }));
    },
    onMouseUp: choose,
    onMouseLeave: () => setDrag(null),
  };
  const inside = (
    <>
      <CartesianGrid stroke="var(--line)" vertical={false} />
      <XAxis dataKey="atMs" {...AXIS} tickFormatter={(at: number) => formatChartInstant(at, widthMs)} minTickGap={40} />
      <YAxis {...AXIS} width={56} tickFormatter={(value: number) => first?.format(value) ?? String(value)} allowDecimals={false} />
      <Tooltip
        isAnimationActive={false}
        cursor={{ fill: "var(--sunken)", stroke: "var(--line-strong)" }}
        content={({ active, payload, label }) =>
          active && payload.length > 0 ? (
            <Reading at={formatChartInstant(Number(label), widthMs)} series={series} values={payload[0]?.payload as Row | undefined} />
          ) : null
        }
      />
      {drag !== null && <ReferenceArea x1={drag.startMs} x2={drag.endMs} fill="var(--accent)" fillOpacity={0.2} />}
    </>
  );
  return (
    <ResponsiveContainer width="100%" height="100%">
      {kind === "bars" ? (
        <BarChart {...common} barCategoryGap={1}>
          {inside}
          {series.map(({ key, color }) => (
            <Bar key={key} dataKey={key} stackId="all" fill={`var(${color})`} isAnimationActive={false} />
          ))}
        </BarChart>
      ) : (
        <LineChart {...common}>
          {inside}
          {series.map(({ key, color }) => (
            <Line
              key={key}
              dataKey={key}
              type="linear"
              stroke={`var(${color})`}
              strokeWidth={2}
              dot={{ r: 1.5 }}
              connectNulls={false}
              isAnimationActive={false}
            />
          ))}
        </LineChart>
      )}
    </ResponsiveContainer>
  );
}

type Row = Readonly<Record<string, number | null>>;

function Reading({ at, series, values }: { at: string; series: readonly Series[]; values: Row | undefined }) {
  return (
    <div className="rounded-md border border-line bg-card px-2.5 py-1.5 text-xs shadow-sm">
      <p className="mb-1 text-ink-soft">{at}</p>
      {series.map(({ key, label, color, format }) => {
        const value = values?.[key] ?? null;
        return (
          <p key={key} className="flex items-center gap-1.5 tabular-nums">
            <span aria-hidden="true" className="size-2 rounded-xs" style={{ background: `var(${color})` }} />
            {label}: {value === null ? "–" : format(value)}
          </p>
        );
      })}
    </div>
  );
}
