/** The newest runs of one status: how many there are, the latest of them, and the way to all of them. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import type { RunsSearch } from "../routes/searches";
import { recentRunsQuery } from "../services/overview";
import type { RunStatus } from "../services/schemas";
import { errorSummary } from "./errorSummary";
import { ErrorNotice, Loading } from "./Notice";
import { STATUS_LOOKS } from "./status";
import { StatusIcon } from "./StatusPill";
import { Ago } from "./Times";
import { Card } from "./ui/card";
import { cn } from "./ui/classes";

const SHOWN_MAX = 6;

export function RecentRuns({
  tenantId,
  status,
  title,
  nothing,
  windowMs,
  count,
  all,
}: {
  tenantId: string;
  status: RunStatus;
  title: string;
  /** What is said when there are none. */
  nothing: string;
  windowMs: number;
  /** How many there are; null while that is not known. */
  count: number | null;
  /** The list of all of them. */
  all: RunsSearch;
}) {
  const runs = useQuery(recentRunsQuery(tenantId, status, windowMs, SHOWN_MAX));
  return (
    <Card aria-label={title}>
      <header className="flex min-h-11 items-center justify-between gap-2 border-b border-line px-4 py-1.5">
        <h2 className="flex items-center gap-2 text-sm font-semibold">
          <StatusIcon status={status} className={cn(STATUS_LOOKS[status].text, "animate-none")} />
          {title}
        </h2>
        <Link to="/runs" search={all} className="text-sm text-accent underline">
          <span className="font-semibold tabular-nums">{count === null ? "·" : count.toLocaleString()}</span>{" "}
          <span className="sr-only">{title.toLowerCase()}: </span>in the list
        </Link>
      </header>
      {runs.data === undefined ? (
        runs.error ? (
          <ErrorNotice error={runs.error} onRetry={() => void runs.refetch()} />
        ) : (
          <Loading label="Loading runs…" />
        )
      ) : runs.data.length === 0 ? (
        <p className="px-4 py-6 text-sm text-ink-soft">{nothing}</p>
      ) : (
        <ul className="divide-y divide-line text-sm">
          {runs.data.map((run) => (
            <li key={run.taskExternalId} className="px-4 py-2">
              <div className="flex items-baseline justify-between gap-3">
                <Link to="/runs/$id" params={{ id: run.taskExternalId }} className="min-w-0 truncate font-medium hover:text-accent hover:underline">
                  {run.displayName}
                </Link>
                <span className="shrink-0 text-xs text-ink-soft">
                  <Ago instantMs={run.finishedAt ?? run.startedAt ?? run.createdAt} />
                </span>
              </div>
              {run.errorMessage !== null && (
                <p className="mt-0.5 truncate font-mono text-xs text-failed" title={errorSummary(run.errorMessage)}>
                  {errorSummary(run.errorMessage)}
                </p>
              )}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
