/** How the last runs of a workflow went: how long they took over time, and the newest of them. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { HISTORY_RUNS_MAX, workflowHistoryQuery } from "../../services/definitions";
import { isTerminal } from "../../services/runs";
import type { TaskSummary } from "../../services/schemas";
import { formatDuration } from "../../time/format";
import { TimeChart, type Point } from "../charts/TimeChart";
import { ErrorNotice, Loading } from "../Notice";
import { StatusPill } from "../StatusPill";
import { Ago, Took } from "../Times";
import { Card, CardHeader } from "../ui/card";

const SHOWN_MAX = 8;
const BUCKETS = 24;
const WIDTHS_MS = [60_000, 300_000, 900_000, 3_600_000, 4 * 3_600_000, 86_400_000, 2 * 86_400_000];

const SERIES = [
  { key: "median", label: "Half took at most", color: "--running", format: formatDuration },
  { key: "longest", label: "The longest", color: "--cancelled", format: formatDuration },
];

export function History({ tenantId, workflowId }: { tenantId: string; workflowId: string }) {
  const runs = useQuery(workflowHistoryQuery(tenantId, workflowId));
  if (runs.data === undefined) {
    return runs.error ? <ErrorNotice error={runs.error} onRetry={() => void runs.refetch()} /> : <Loading label="Loading runs…" />;
  }
  const { points, widthMs } = durationsOf(runs.data);
  return (
    <div className="grid items-start gap-5 lg:grid-cols-2">
      <Card aria-label="Recent runs">
        <CardHeader title="Recent runs">
          <Link to="/runs" search={{ workflow: workflowId }} className="text-sm text-accent underline">
            All runs
          </Link>
        </CardHeader>
        {runs.data.length === 0 ? (
          <p className="px-4 py-6 text-sm text-ink-soft">It has not run in the last 30 days.</p>
        ) : (
          <ul className="divide-y divide-line text-sm">
            {runs.data.slice(0, SHOWN_MAX).map((run) => (
              <li key={run.taskExternalId} className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2">
                <StatusPill status={run.status} />
                <Link to="/runs/$id" params={{ id: run.taskExternalId }} className="min-w-0 flex-1 truncate font-medium hover:text-accent hover:underline">
                  {run.displayName}
                </Link>
                <span className="text-xs text-ink-soft">
                  <Took span={run} live={!isTerminal(run.status)} />
                </span>
                <span className="text-xs text-ink-soft">
                  <Ago instantMs={run.createdAt} />
                </span>
              </li>
            ))}
          </ul>
        )}
      </Card>
      {points.length > 0 && (
        <TimeChart
          title="Durations"
          kind="lines"
          series={SERIES}
          points={points}
          widthMs={widthMs}
          note={`Of the newest ${Math.min(runs.data.length, HISTORY_RUNS_MAX)} runs, those that completed.`}
        />
      )}
    </div>
  );
}

/** How long completed runs took, by when they began, in as many buckets as a picture needs. */
export function durationsOf(runs: readonly TaskSummary[]): { points: readonly Point[]; widthMs: number } {
  const done = runs.flatMap((run) =>
    run.status === "COMPLETED" && run.startedAt !== null && run.duration !== null ? [{ atMs: run.startedAt, tookMs: run.duration }] : [],
  );
  if (done.length === 0) return { points: [], widthMs: 0 };
  const first = Math.min(...done.map((run) => run.atMs));
  const last = Math.max(...done.map((run) => run.atMs));
  const widthMs = WIDTHS_MS.find((width) => (last - first) / width <= BUCKETS) ?? 2 * 86_400_000;
  const buckets = new Map<number, number[]>();
  for (let at = Math.floor(first / widthMs) * widthMs; at <= last; at += widthMs) buckets.set(at, []);
  for (const run of done) buckets.get(Math.floor(run.atMs / widthMs) * widthMs)?.push(run.tookMs);
  const points = [...buckets].map(([atMs, took]) => {
    const sorted = took.sort((a, b) => a - b);
    return { atMs, values: { median: sorted[Math.floor((sorted.length - 1) / 2)] ?? null, longest: sorted.at(-1) ?? null } };
  });
  return { points, widthMs };
}
