import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState, type Dispatch, type SetStateAction } from "react";

import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { Pagination } from "../components/Pagination";
import { RunActsBar } from "../components/RunActsBar";
import { RunsTable } from "../components/RunsTable";
import { SearchBox } from "../components/SearchBox";
import { StartWorkflowButton } from "../components/StartWorkflowButton";
import { StatusChips } from "../components/StatusChips";
import { Button } from "../components/ui/button";
import { Card } from "../components/ui/card";
import { runsQuery, statusCountsQuery, type RunFilter, type RunPage as RunPageRows } from "../services/runs";
import { workflowsQuery } from "../services/workflows";
import { DEFAULT_WINDOW, TIME_WINDOWS, WINDOW_LABELS, WINDOW_MS, type RunsSearch, type TimeWindow } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/runs");
const NOTHING: ReadonlySet<string> = new Set();

export function RunsPage() {
  useTitle("Runs");
  const { tenant } = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(NOTHING);

  const timeWindow = search.window ?? DEFAULT_WINDOW;
  const page = search.page ?? 1;
  const filter: RunFilter = {
    windowMs: WINDOW_MS[timeWindow],
    statuses: search.status ?? [],
    workflowId: search.workflow ?? null,
    metadata: search.metadata ?? null,
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
        ...(next.metadata !== undefined && next.metadata !== "" && { metadata: next.metadata }),
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
          <SearchBox label="Metadata, key:value" value={search.metadata ?? ""} onChange={(metadata) => refine({ metadata })} />
          <StartWorkflowButton label="Run a workflow" when="now" />
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
        {runs.data !== undefined && runs.data.rows.length > 0 && (
          <RunActsBar
            tenantId={tenant.id}
            chosen={chosen}
            filter={filter}
            counts={counts.data ?? null}
            onDone={() => setChosen(NOTHING)}
          />
        )}
        <RunList
          runs={runs}
          chosen={chosen}
          onChoose={setChosen}
          page={page}
          timeWindow={timeWindow}
          isFiltered={filter.statuses.length > 0 || filter.workflowId !== null || filter.metadata !== null}
          isNewcomer={(workflows.data?.length ?? 0) === 0}
          onPage={(target) => refine({ page: target })}
          onShowAll={() => refine({ status: undefined, workflow: undefined, metadata: undefined })}
        />
      </Card>
    </>
  );
}

function RunList({
  runs,
  chosen,
  onChoose,
  page,
  timeWindow,
  isFiltered,
  isNewcomer,
  onPage,
  onShowAll,
}: {
  runs: UseQueryResult<RunPageRows>;
  chosen: ReadonlySet<string>;
  onChoose: Dispatch<SetStateAction<ReadonlySet<string>>>;
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
  if (runs.data.rows.length === 0 && page > 1) {
    return (
      <Notice
        title={`There is no page ${page}`}
        action={<Button onClick={() => onPage(runs.data.pageCount)}>Go to the last page</Button>}
      />
    );
  }
  if (runs.data.rows.length === 0) {
    if (isFiltered) {
      return <Notice title="No run matches this filter" action={<Button onClick={onShowAll}>Show all runs</Button>} />;
    }
    if (isNewcomer) {
      return <Notice title="No runs yet" action={<Link to="/" className="text-accent underline">Make a first one</Link>} />;
    }
    return (
      <Notice title={`No runs in the ${WINDOW_LABELS[timeWindow].toLowerCase()}`}>
        <p>Choose a longer time range, or start a run from your code: it appears here by itself.</p>
      </Notice>
    );
  }
  return (
    <>
      <RunsTable runs={runs.data.rows} chosen={chosen} onChoose={onChoose} />
      <Pagination page={page} pageCount={runs.data.pageCount} onChange={onPage} />
    </>
  );
}
