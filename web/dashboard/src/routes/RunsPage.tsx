import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";

import { GettingStarted } from "../components/GettingStarted";
import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { Pagination } from "../components/Pagination";
import { RunsTable } from "../components/RunsTable";
import { StatusChips } from "../components/StatusChips";
import { Button } from "../components/ui/button";
import { Card } from "../components/ui/card";
import { runsQuery, statusCountsQuery, type RunFilter, type RunPage as RunPageRows } from "../services/runs";
import { workflowsQuery } from "../services/workflows";
import { DEFAULT_WINDOW, TIME_WINDOWS, WINDOW_MS, type RunsSearch, type TimeWindow } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/");

const WINDOW_LABELS: Readonly<Record<TimeWindow, string>> = {
  "1h": "Last hour",
  "6h": "Last 6 hours",
  "24h": "Last 24 hours",
  "7d": "Last 7 days",
  "30d": "Last 30 days",
};

export function RunsPage() {
  useTitle("Runs");
  const { tenant } = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();

  const timeWindow = search.window ?? DEFAULT_WINDOW;
  const page = search.page ?? 1;
  const filter: RunFilter = {
    windowMs: WINDOW_MS[timeWindow],
    statuses: search.status ?? [],
    workflowId: search.workflow ?? null,
  };
  const runs = useQuery(runsQuery(tenant.id, filter, page));
  const counts = useQuery(statusCountsQuery(tenant.id, filter));
  const workflows = useQuery(workflowsQuery(tenant.id));

  /** A changed filter starts again at the first page; defaults leave the address. */
  function refine(change: Partial<RunsSearch>): void {
    const next = { ...search, page: undefined, ...change };
    void navigate({
      search: {
        ...(next.status !== undefined && next.status.length > 0 && { status: next.status }),
        ...(next.workflow !== undefined && { workflow: next.workflow }),
        ...(next.window !== undefined && next.window !== DEFAULT_WINDOW && { window: next.window }),
        ...(next.page !== undefined && next.page > 1 && { page: next.page }),
      },
    });
  }

  const selectLook = "h-8 max-w-56 rounded-md border border-line bg-card px-2 text-sm";
  return (
    <>
      <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
        <h1 className="text-xl font-semibold">Runs</h1>
        <div className="flex flex-wrap gap-2">
          <select
            aria-label="Workflow"
            value={search.workflow ?? ""}
            onChange={(event) => refine({ workflow: event.target.value === "" ? undefined : event.target.value })}
            className={selectLook}
          >
            <option value="">All workflows</option>
            {workflows.data?.map((workflow) => (
              <option key={workflow.metadata.id} value={workflow.metadata.id}>
                {workflow.name}
              </option>
            ))}
          </select>
          <select
            aria-label="Time range"
            value={timeWindow}
            onChange={(event) => refine({ window: TIME_WINDOWS.find((choice) => choice === event.target.value) })}
            className={selectLook}
          >
            {TIME_WINDOWS.map((choice) => (
              <option key={choice} value={choice}>
                {WINDOW_LABELS[choice]}
              </option>
            ))}
          </select>
        </div>
      </div>
      {runs.error !== null && runs.data !== undefined && <StaleBanner error={runs.error} />}
      <div className="mb-4">
        <StatusChips counts={counts.data ?? null} chosen={filter.statuses} onChange={(status) => refine({ status })} />
      </div>
      <Card aria-label="Run list">
        <RunList
          runs={runs}
          page={page}
          timeWindow={timeWindow}
          isFiltered={filter.statuses.length > 0 || filter.workflowId !== null}
          isNewcomer={(workflows.data?.length ?? 0) === 0}
          onPage={(target) => refine({ page: target })}
          onShowAll={() => refine({ status: undefined, workflow: undefined })}
        />
      </Card>
    </>
  );
}

function RunList({
  runs,
  page,
  timeWindow,
  isFiltered,
  isNewcomer,
  onPage,
  onShowAll,
}: {
  runs: UseQueryResult<RunPageRows>;
  page: number;
  timeWindow: TimeWindow;
  isFiltered: boolean;
  isNewcomer: boolean;
  onPage: (page: number) => void;
  onShowAll: () => void;
}) {
  if (runs.data === undefined) {
    if (runs.error) return <ErrorNotice error={runs.error} onRetry={() => void runs.refetch()} />;
    return <Loading label="Loading runs…" />;
  }
  if (runs.data.rows.length === 0 && page === 1) {
    if (isFiltered) {
      return <Notice title="No run matches this filter" action={<Button onClick={onShowAll}>Show all runs</Button>} />;
    }
    if (isNewcomer) return <GettingStarted />;
    return (
      <Notice title={`No runs in the ${WINDOW_LABELS[timeWindow].toLowerCase()}`}>
        <p>Choose a longer time range, or start a run from your code: it appears here by itself.</p>
      </Notice>
    );
  }
  return (
    <>
      <RunsTable runs={runs.data.rows} />
      <Pagination page={page} pageCount={runs.data.pageCount} onChange={onPage} />
    </>
  );
}
