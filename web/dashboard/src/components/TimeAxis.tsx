/** The axis of a timeline. Drawing over it chooses the stretch that is shown; so do the buttons, for the keyboard. */
import { useRef, useState, type PointerEvent } from "react";

import { formatDuration } from "../time/format";
import { Button } from "./ui/button";

export interface Stretch {
  readonly startMs: number;
  readonly endMs: number;
}

/** A shorter stroke is a click. */
const STROKE_MIN = 0.02;

export function TimeAxis({ whole, shown, onZoom }: { whole: Stretch; shown: Stretch; onZoom: (stretch: Stretch | null) => void }) {
  const line = useRef<HTMLDivElement>(null);
  const [stroke, setStroke] = useState<readonly [number, number] | null>(null);
  const lengthMs = shown.endMs - shown.startMs;
  const isZoomed = shown.startMs !== whole.startMs || shown.endMs !== whole.endMs;

  function placeOf(event: PointerEvent): number {
    const box = line.current?.getBoundingClientRect();
    return box === undefined || box.width === 0 ? 0 : Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  }

  function zoomTo(from: number, to: number): void {
    onZoom({ startMs: shown.startMs + from * lengthMs, endMs: shown.startMs + to * lengthMs });
  }

  return (
    <div>
      <div className="flex items-center justify-between gap-2">
        <span className="tabular-nums">{formatDuration(shown.startMs - whole.startMs)}</span>
        <span className="flex gap-1">
          {isZoomed && (
            <>
              <Button size="small" variant="ghost" aria-label="Earlier" onClick={() => zoomTo(-0.5, 0.5)}>
                ‹
              </Button>
              <Button size="small" variant="ghost" aria-label="Later" onClick={() => zoomTo(0.5, 1.5)}>
                ›
              </Button>
              <Button size="small" variant="ghost" aria-label="The whole time" onClick={() => onZoom(null)}>
                all
              </Button>
            </>
          )}
          <Button size="small" variant="ghost" aria-label="Zoom in" onClick={() => zoomTo(0.25, 0.75)}>
            +
          </Button>
        </span>
        <span className="tabular-nums">{formatDuration(shown.endMs - whole.startMs)}</span>
      </div>
      <div
        ref={line}
        data-testid="time-axis"
        title="Draw over it to zoom in"
        className="relative mt-0.5 h-2 cursor-crosshair touch-none rounded bg-line"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setStroke([placeOf(event), placeOf(event)]);
        }}
        onPointerMove={(event) => {
          if (stroke !== null) setStroke([stroke[0], placeOf(event)]);
        }}
        onPointerUp={() => {
          if (stroke === null) return;
          const [from, to] = [Math.min(...stroke), Math.max(...stroke)];
          setStroke(null);
          if (to - from >= STROKE_MIN) zoomTo(from, to);
        }}
        onPointerCancel={() => setStroke(null)}
      >
        {stroke !== null && (
          <span
            className="absolute inset-y-0 bg-accent"
            style={{ left: `${100 * Math.min(...stroke)}%`, width: `${100 * Math.abs(stroke[1] - stroke[0])}%` }}
          />
        )}
      </div>
    </div>
  );
}
