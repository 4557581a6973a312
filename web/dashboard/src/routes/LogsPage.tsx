import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { AnsiText } from "../components/AnsiText";
import { LogHistogram } from "../components/charts/LogHistogram";
import { Chips } from "../components/Chips";
import { ErrorNotice, Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { SearchBox } from "../components/SearchBox";
import { LocalTime } from "../components/Times";
import { TimeWindowChoice } from "../components/TimeWindowChoice";
import { Button } from "../components/ui/button";
import { cn } from "../components/ui/classes";
import { Select } from "../components/ui/field";
import { LOG_LEVELS, tasksOfIdQuery, tenantLogsQuery, type TenantLogFilter, type LogLevel } from "../services/tenantLogs";
import { workflowsQuery } from "../services/workflows";
import { formatLocal } from "../time/format";
import { DEFAULT_WINDOW, WINDOW_MS, type LogsSearch } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/logs");
const LOOKS: Readonly<Record<LogLevel, string>> = { DEBUG: "text-ink-soft", INFO: "text-running", WARN: "text-cancelled", ERROR: "text-failed" };

export function LogsPage() {
  useTitle("Logs");
  const { tenant } = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [follows, setFollows] = useState(true);
  const tasks = useQuery({ ...tasksOfIdQuery(search.run ?? ""), enabled: search.run !== undefined });
  const timeWindow = search.window ?? DEFAULT_WINDOW;
  // A window that moved with the clock would be another question with every second.
  const [openedAtMs, setOpenedAtMs] = useState(() => Date.now());
  const filter: TenantLogFilter = {
    search: search.search ?? "",
    levels: search.level ?? [],
    workflowId: search.workflow ?? null,
    taskIds: search.run === undefined ? null : (tasks.data ?? []),
    since: search.from ?? new Date(openedAtMs - WINDOW_MS[timeWindow]).toISOString(),
    until: search.to ?? null,
  };
  const isKnown = search.run === undefined || tasks.data !== undefined;
  const lines = useInfiniteQuery({ ...tenantLogsQuery(tenant.id, filter, follows && search.to === undefined), enabled: isKnown });

  function refine(change: Partial<LogsSearch>): void {
    const next = { ...search, ...change };
    setOpenedAtMs(Date.now());
    void navigate({
      search: {
        ...(next.search !== undefined && next.search !== "" && { search: next.search }),
        ...(next.level !== undefined && next.level.length > 0 && { level: next.level }),
        ...(next.workflow !== undefined && { workflow: next.workflow }),
        ...(next.run !== undefined && { run: next.run }),
        ...(next.window !== undefined && next.window !== DEFAULT_WINDOW && { window: next.window }),
        ...(next.from !== undefined && { from: next.from }),
        ...(next.to !== undefined && { to: next.to }),
      },
      replace: true,
    });
  }

  return (
    <div className="space-y-4">
      <PageHeader title="Logs" docs="observability">
        <SearchBox label="Find in messages" value={search.search ?? ""} onChange={(text) => refine({ search: text })} />
        <Chips label="Filter by level" values={LOG_LEVELS} chosen={filter.levels} onChange={(level) => refine({ level })} />
        <WorkflowChoice tenantId={tenant.id} value={search.workflow} onChange={(workflow) => refine({ workflow })} />
        <TimeWindowChoice value={timeWindow} onChange={(window) => refine({ window, from: undefined, to: undefined })} />
      </PageHeader>
      <div className="flex flex-wrap items-center gap-2">
        {search.from !== undefined && (
          <Button size="small" onClick={() => refine({ from: undefined, to: undefined })}>
            {formatLocal(Date.parse(search.from))} to {search.to === undefined ? "now" : formatLocal(Date.parse(search.to))} ✕
            <span className="sr-only">show the whole time range</span>
          </Button>
        )}
        {search.run !== undefined && (
          <Button size="small" onClick={() => refine({ run: undefined })}>
            of <code className="font-mono">{search.run.slice(0, 8)}…</code> only ✕<span className="sr-only">show lines of all tasks</span>
          </Button>
        )}
        <Button size="small" className="ml-auto" aria-pressed={follows} onClick={() => setFollows(!follows)} disabled={search.to !== undefined}>
          {follows && search.to === undefined ? "Following" : "Follow"}
        </Button>
      </div>
      {tasks.error !== null && <ErrorNotice error={tasks.error} onRetry={() => void tasks.refetch()} />}
      {isKnown && (
        <LogHistogram
          tenantId={tenant.id}
          filter={filter}
          changes={lines.data}
          onChoose={({ fromMs, toMs }) => refine({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() })}
        />
      )}
      <PagedTable
        label="Log lines"
        query={lines}
        keyOf={(line) => `${line.taskExternalId}-${line.createdAt}-${line.message}`}
        empty={<NoLines isFiltered={filter.search !== "" || filter.levels.length > 0 || filter.workflowId !== null || filter.taskIds !== null} />}
        columns={[
          { title: "Message", cell: (line) => (
              <span className="font-mono text-xs font-normal break-words whitespace-pre-wrap">
                <AnsiText text={line.message} />
              </span>
            ) },
          { title: "Level", cell: (line) => <span className={cn("font-mono text-xs", LOOKS[line.level])}>{line.level}</span> },
          {
            title: "Task",
            cell: (line) => (
              <span className="inline-flex flex-wrap items-baseline gap-x-2">
                <Link to="/runs/$id" params={{ id: line.taskExternalId }} className="text-accent underline">
                  {line.taskDisplayName}
                </Link>
                <button
                  type="button"
                  className="text-xs text-ink-soft underline hover:text-ink"
                  aria-label={`Only lines of ${line.taskDisplayName}`}
                  onClick={() => refine({ run: line.taskExternalId })}
                >
                  only
                </button>
              </span>
            ),
          },
          { title: "Time", cell: (line) => <LocalTime instantMs={line.createdAt} /> },
        ]}
      />
    </div>
  );
}

function WorkflowChoice({ tenantId, value, onChange }: { tenantId: string; value: string | undefined; onChange: (id: string | undefined) => void }) {
  const workflows = useQuery(workflowsQuery(tenantId));
  return (
    <Select aria-label="Workflow" className="w-auto max-w-56" value={value ?? ""} onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value)}>
      <option value="">All workflows</option>
      {workflows.data?.map((workflow) => (
        <option key={workflow.metadata.id} value={workflow.metadata.id}>
          {workflow.name}
        </option>
      ))}
    </Select>
  );
}

function NoLines({ isFiltered }: { isFiltered: boolean }) {
  if (isFiltered) {
    return (
      <Notice title="No line matches this filter">
        <p>Nothing was found among the lines of this time. Choose a longer time range, or take a filter back.</p>
      </Notice>
    );
  }
  return (
    <Notice title="No log lines">
      <p>
        What tasks write with <code className="font-mono text-xs">ctx.log(…)</code> appears here, the newest first.
      </p>
    </Notice>
  );
}
