/** Throughput, latency and what waits and runs, over the last hours or days; a span chosen in one of them is handed on. */
import type { UseQueryResult } from "@tanstack/react-query";

import type { Load } from "../../services/load";
import type { RunStatus } from "../../services/schemas";
import { formatDuration } from "../../time/format";
import { ErrorNotice, Loading, StaleBanner } from "../Notice";
import { Card } from "../ui/card";
import type { PlotSpan } from "./Plot";
import { TimeChart, type Series } from "./TimeChart";

const inTasks = (value: number) => value.toLocaleString();
const onAverage = (value: number) => value.toLocaleString(undefined, { maximumFractionDigits: value < 10 ? 1 : 0 });

const ENDED: readonly Series[] = [
  { key: "succeeded", label: "Succeeded", color: "--completed", format: inTasks },
  { key: "failed", label: "Failed", color: "--failed", format: inTasks },
  { key: "cancelled", label: "Cancelled", color: "--cancelled", format: inTasks },
];
const WAITED: readonly Series[] = [
  { key: "waitedMsP50", label: "Half waited at most", color: "--queued", format: formatDuration },
  { key: "waitedMsP95", label: "95 % waited at most", color: "--cancelled", format: formatDuration },
];
const RAN: readonly Series[] = [
  { key: "ranMsP50", label: "Half ran at most", color: "--running", format: formatDuration },
  { key: "ranMsP95", label: "95 % ran at most", color: "--accent", format: formatDuration },
];
const DEPTH: readonly Series[] = [
  { key: "waiting", label: "Waiting", color: "--queued", format: onAverage },
  { key: "running", label: "Running", color: "--running", format: onAverage },
];

const STATUS_OF: Readonly<Record<string, RunStatus>> = { succeeded: "COMPLETED", failed: "FAILED", cancelled: "CANCELLED" };

/** `onChoose` gets the statuses as well when only some of what ended was shown, and none of them else. */
export function LoadCharts({
  load,
  onChoose,
}: {
  load: UseQueryResult<Load>;
  onChoose: (span: PlotSpan, statuses: readonly RunStatus[]) => void;
}) {
  if (load.data === undefined) {
    return <Card>{load.error ? <ErrorNotice error={load.error} onRetry={() => void load.refetch()} /> : <Loading label="Loading the charts…" />}</Card>;
  }
  const common = {
    points: load.data.results.map(({ time, ...values }) => ({ atMs: time, values })),
    widthMs: load.data.widthS * 1_000,
    hint: "Drag over the chart to see the runs made in a time.",
    onChoose: (span: PlotSpan) => onChoose(span, []),
  };
  return (
    <>
      {load.error !== null && <StaleBanner error={load.error} />}
      <div className="grid items-start gap-5 lg:grid-cols-2">
        <TimeChart {...common} title="Tasks that ended" kind="bars" series={ENDED} onChoose={(span, shown) => onChoose(span, statusesOf(shown))} />
        <TimeChart {...common} title="Tasks waiting and running, on average" kind="lines" series={DEPTH} />
        <TimeChart {...common} title="Time in the queue" kind="lines" series={WAITED} />
        <TimeChart {...common} title="Time of running" kind="lines" series={RAN} />
      </div>
    </>
  );
}

function statusesOf(shown: readonly string[]): readonly RunStatus[] {
  return shown.length === ENDED.length ? [] : shown.flatMap((key) => STATUS_OF[key] ?? []);
}
