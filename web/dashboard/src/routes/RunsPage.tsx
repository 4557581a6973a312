import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { PageHeader } from "../components/PageHeader";
import { ActiveFilters } from "../components/runs/ActiveFilters";
import { columnsOf, keepColumns, keptColumns } from "../components/runs/columns";
import { ColumnsButton } from "../components/runs/ColumnsButton";
import { ExportButton } from "../components/runs/ExportButton";
import { OrderChoice } from "../components/runs/OrderChoice";
import { orderedRuns } from "../components/runs/order";
import { QueryBox } from "../components/runs/QueryBox";
import { RunActsBar } from "../components/runs/RunActsBar";
import { RunPeek } from "../components/runs/RunPeek";
import { RunsTable } from "../components/runs/RunsTable";
import { SearchedPayloads } from "../components/runs/SearchedPayloads";
import { SavedViews } from "../components/runs/SavedViews";
import { metadataSeen } from "../components/runs/seen";
import { TimeRangeChoice } from "../components/runs/TimeRangeChoice";
import { useRowKeys } from "../components/runs/useRowKeys";
import { StartWorkflowButton } from "../components/StartWorkflowButton";
import { StatusChips } from "../components/StatusChips";
import { Button } from "../components/ui/button";
import { Card } from "../components/ui/card";
import { EVERY_RUN, type RunQuery } from "../search/grammar";
import { rowsIn } from "../services/pages";
import { runListQuery, sinceOf, statusCountsQuery } from "../services/runSearch";
import { workersQuery } from "../services/workers";
import { workflowsQuery } from "../services/workflows";
import { isEveryRun, listingOf, queryOf, restOf, searchOf, timeOf, usualWindow } from "./runsAddress";
import type { RunsSearch } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/runs");
const NOTHING: ReadonlySet<string> = new Set();

export function RunsPage() {
  useTitle("Runs");
  const { tenant } = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [chosen, setChosen] = useState(NOTHING);
  const [columns, setColumns] = useState(keptColumns);

  const listing = listingOf(search);
  const usual = usualWindow(listing.query);
  const time = timeOf(search, usual);
  const list = useInfiniteQuery(runListQuery(tenant.id, listing));
  const counts = useQuery(statusCountsQuery(tenant.id, listing));
  const workflows = useQuery(workflowsQuery(tenant.id));
  const workers = useQuery(workersQuery(tenant.id));
  const rows = list.data === undefined ? null : orderedRuns(rowsIn(list.data), search.order);
  const lookedAt = list.data?.pages[0]?.lookedAt ?? null;
  const seen = metadataSeen(rows ?? []);
  // Older links give workflows by their ids; people read names.
  const nameOf = new Map(workflows.data?.map((workflow) => [workflow.metadata.id, workflow.name]));
  const query = { ...listing.query, workflows: listing.query.workflows.map((one) => nameOf.get(one) ?? one) };

  function ask(next: RunQuery): void {
    setChosen(NOTHING);
    void navigate({ search: { ...searchOf(next), ...restOf({ ...search, peek: undefined }) } });
  }
  function change(next: RunsSearch, replace = false): void {
    void navigate({ search: { ...searchOf(queryOf(search)), ...restOf({ ...search, ...next }) }, replace });
  }
  function chooseColumns(next: readonly string[]): void {
    setColumns(next);
    keepColumns(next);
  }
  const keys = useRowKeys({ isPeeking: search.peek !== undefined, onPeek: (peek) => change({ peek }, true) });

  return (
    <>
      <PageHeader title="Runs" docs="console#runs">
        <StartWorkflowButton label="Run a workflow" when="now" />
      </PageHeader>
      <div className="mb-3 flex flex-wrap items-start gap-2">
        <QueryBox
          label="Search runs"
          query={query}
          known={{
            workflows: workflows.data?.map((workflow) => workflow.name) ?? [],
            workers: workers.data?.map((worker) => ({ id: worker.metadata.id, name: worker.name })) ?? [],
            metadata: seen,
          }}
          onSearch={ask}
        />
        <TimeRangeChoice
          choice={time.choice}
          between={{ from: search.from, to: search.to }}
          onWindow={(window) => change({ window: window === usual ? undefined : window, from: undefined, to: undefined })}
          onBetween={({ from, to }) => change({ window: undefined, from, to })}
        />
      </div>
      <ActiveFilters query={query} onChange={ask} />
      {lookedAt !== null && (
        <SearchedPayloads
          lookedAt={lookedAt}
          isFetching={list.isFetching}
          onFurther={(beforeMs) =>
            change({ window: undefined, from: sinceOf(listing.range).since, to: new Date(beforeMs).toISOString() })
          }
          onAgain={() => {
            void list.refetch();
            void counts.refetch();
          }}
        />
      )}
      {list.error !== null && list.data !== undefined && <StaleBanner error={list.error} />}
      <StatusChips counts={counts.data ?? null} chosen={query.statuses} onChange={(statuses) => ask({ ...query, statuses })} />
      <div className="my-3 flex flex-wrap items-center gap-2 text-sm">
        <SavedViews
          tenantId={tenant.id}
          search={search}
          columns={columns}
          onOpen={(view) => {
            if (view !== null) chooseColumns(view.columns);
            void navigate({ search: view?.search ?? {} });
          }}
        />
        <label className="flex items-center gap-1.5 text-xs">
          <input type="checkbox" checked={listing.ofTasks} onChange={(event) => change({ tasks: event.target.checked ? true : undefined })} />
          Tasks, those of DAGs one by one
        </label>
        <OrderChoice order={search.order} ofTasks={listing.ofTasks} onChange={(order) => change({ order })} />
        <ColumnsButton chosen={columns} metadataKeys={[...seen.keys()]} onChange={chooseColumns} />
        <ExportButton tenantId={tenant.id} listing={listing} />
      </div>
      <div className="flex flex-col gap-4 lg:flex-row">
        <div ref={keys} className="min-w-0 flex-1">
          <Card aria-label="Run list">
            {rows === null ? (
              list.error === null ? (
                <Loading label="Loading runs…" />
              ) : (
                <ErrorNotice error={list.error} onRetry={() => void list.refetch()} />
              )
            ) : rows.length === 0 ? (
              <NoRuns
                isFiltered={!isEveryRun(query)}
                isNewcomer={(workflows.data?.length ?? 0) === 0}
                words={time.words}
                onShowAll={() => ask(EVERY_RUN)}
                onEver={time.choice === "all" ? null : () => change({ window: "all", from: undefined, to: undefined })}
              />
            ) : (
              <>
                <RunActsBar tenantId={tenant.id} chosen={chosen} filter={listing} onDone={() => setChosen(NOTHING)} />
                <RunsTable
                  tenantId={tenant.id}
                  runs={rows}
                  columns={columnsOf(columns)}
                  chosen={chosen}
                  onChoose={setChosen}
                  peeked={search.peek ?? null}
                  onPeek={(peek) => change({ peek }, search.peek !== undefined)}
                />
                {list.hasNextPage && (
                  <div className="border-t border-line px-4 py-2 text-center">
                    <Button disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
                      {list.isFetchingNextPage ? "Loading…" : "Show more"}
                    </Button>
                  </div>
                )}
              </>
            )}
          </Card>
        </div>
        {search.peek !== undefined && <RunPeek tenantId={tenant.id} runId={search.peek} onClose={() => change({ peek: undefined })} />}
      </div>
    </>
  );
}

function NoRuns({
  isFiltered,
  isNewcomer,
  words,
  onShowAll,
  onEver,
}: {
  isFiltered: boolean;
  /** Nothing can have run yet. */
  isNewcomer: boolean;
  /** When was looked for: "in the last hour". */
  words: string;
  onShowAll: () => void;
  /** Null when all time was looked through. */
  onEver: (() => void) | null;
}) {
  return (
    <Notice
      title={isFiltered ? `No run matches ${words}` : `No runs ${words}`}
      action={
        <div className="flex flex-wrap gap-2">
          {onEver !== null && <Button onClick={onEver}>Look through all time</Button>}
          {isFiltered && <Button onClick={onShowAll}>Show all runs</Button>}
        </div>
      }
    >
      {!isFiltered && <p>Start a run from your code, or with the button above: it appears here by itself.</p>}
      {!isFiltered && isNewcomer && (
        <p>
          Nothing has run yet.{" "}
          <Link to="/" className="text-accent underline">
            Make a first one
          </Link>
        </p>
      )}
    </Notice>
  );
}
