/** The tasks of a run, each with its bar on the run's common time axis: light while it waited, full while it ran. */
import type { Step } from "../graph/steps";
import type { TaskEvent } from "../services/schemas";
import { formatDuration } from "../time/format";
import { useNowMs } from "../time/now";
import { taskSegments, type Segment, type SegmentKind } from "../timeline/segments";
import { StatusPill } from "./StatusPill";
import { Took } from "./Times";
import { isTerminal } from "../services/runs";
import { cn } from "./ui/classes";

const BAR_LOOKS: Readonly<Record<SegmentKind, { bar: string; word: string }>> = {
  waiting: { bar: "bg-queued opacity-30", word: "waited" },
  running: { bar: "bg-running", word: "has been running for" },
  completed: { bar: "bg-completed", word: "ran" },
  failed: { bar: "bg-failed", word: "failed after" },
  cancelled: { bar: "bg-cancelled", word: "was cancelled after" },
};

/** A bar shorter than this cannot be seen. */
const BAR_WIDTH_MIN_PERCENT = 0.6;

export function Waterfall({
  steps,
  events,
  chosenId,
  onChoose,
}: {
  steps: readonly Step[];
  events: readonly TaskEvent[];
  chosenId: string | null;
  onChoose: (stepId: string) => void;
}) {
  const now = useNowMs();
  const rows = steps.map((step) => ({ step, segments: step.task === null ? [] : taskSegments(step.task, events) }));
  const all = rows.flatMap((row) => row.segments);
  const startMs = Math.min(...all.map((segment) => segment.startMs));
  // Between two ticks of the clock something may have started "in the future".
  const endMs = Math.max(startMs + 1, ...all.map((segment) => Math.max(segment.endMs ?? now, segment.startMs)));

  return (
    <div className="overflow-x-auto">
      <table aria-label="Tasks" className="w-full text-left text-sm">
        <thead className="text-xs text-ink-soft">
          <tr className="border-b border-line">
            <th scope="col" className="px-4 py-2 font-medium">
              Task
            </th>
            <th scope="col" className="px-2 py-2 font-medium">
              Status
            </th>
            <th scope="col" className="hidden w-2/5 px-2 py-2 font-medium sm:table-cell">
              <span className="flex justify-between tabular-nums">
                <span>0</span>
                {all.length > 0 && <span>{formatDuration(endMs - startMs)}</span>}
              </span>
            </th>
            <th scope="col" className="px-4 py-2 text-right font-medium">
              Duration
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ step, segments }) => (
            <tr
              key={step.id}
              data-testid="task-row"
              className={cn("border-b border-line last:border-0", step.id === chosenId ? "bg-accent-soft" : "hover:bg-sunken")}
            >
              <th scope="row" className="max-w-52 px-4 py-2 font-normal">
                {step.task === null ? (
                  <span className="block truncate text-ink-soft" title={step.name}>
                    {step.name}
                  </span>
                ) : (
                  <button
                    type="button"
                    aria-pressed={step.id === chosenId}
                    onClick={() => onChoose(step.id)}
                    className="max-w-full truncate text-left font-medium hover:text-accent hover:underline"
                    title={step.name}
                  >
                    {step.name}
                  </button>
                )}
              </th>
              <td className="px-2 py-2">
                <StatusPill status={step.status} />
              </td>
              <td className="hidden px-2 py-2 sm:table-cell">
                <Bars name={step.name} segments={segments} startMs={startMs} endMs={endMs} now={now} />
              </td>
              <td className="px-4 py-2 text-right">
                {step.task === null ? "–" : <Took span={step.task} live={!isTerminal(step.task.status)} />}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Bars({
  name,
  segments,
  startMs,
  endMs,
  now,
}: {
  name: string;
  segments: readonly Segment[];
  startMs: number;
  endMs: number;
  now: number;
}) {
  const words = segments.map(
    (segment) => `${BAR_LOOKS[segment.kind].word} ${formatDuration((segment.endMs ?? now) - segment.startMs)}`,
  );
  return (
    <div role="img" aria-label={`${name} ${words.join(", ") || "has not started"}`} className="relative h-4 rounded bg-sunken">
      {segments.map((segment, index) => {
        const left = (100 * (segment.startMs - startMs)) / (endMs - startMs);
        const width = (100 * (Math.max(segment.endMs ?? now, segment.startMs) - segment.startMs)) / (endMs - startMs);
        return (
          <span
            key={segment.startMs}
            title={words[index]}
            className={cn("absolute inset-y-0.5 rounded-sm", BAR_LOOKS[segment.kind].bar)}
            style={{ left: `${Math.min(left, 100 - BAR_WIDTH_MIN_PERCENT)}%`, width: `max(${BAR_WIDTH_MIN_PERCENT}%, ${width}%)` }}
          />
        );
      })}
    </div>
  );
}
