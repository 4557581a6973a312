import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";

import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { SearchBox } from "../components/SearchBox";
import { LocalTime } from "../components/Times";
import { cn } from "../components/ui/classes";
import { LOG_LEVELS, tenantLogsQuery, type LogLevel } from "../services/tenantLogs";
import type { LogsSearch } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/logs");
const LOOKS: Readonly<Record<LogLevel, string>> = { DEBUG: "text-ink-soft", INFO: "text-running", WARN: "text-cancelled", ERROR: "text-failed" };

export function LogsPage() {
  useTitle("Logs");
  const { tenant } = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const levels = search.level ?? [];
  const lines = useInfiniteQuery(tenantLogsQuery(tenant.id, { search: search.search ?? "", levels }));

  function refine(change: Partial<LogsSearch>): void {
    const next = { ...search, ...change };
    void navigate({
      search: {
        ...(next.search !== undefined && next.search !== "" && { search: next.search }),
        ...(next.level !== undefined && next.level.length > 0 && { level: next.level }),
      },
      replace: true,
    });
  }

  return (
    <>
      <PageHeader title="Logs" docs="observability">
        <SearchBox label="Find in messages" value={search.search ?? ""} onChange={(text) => refine({ search: text })} />
        <div role="group" aria-label="Filter by level" className="flex gap-1">
          {LOG_LEVELS.map((level) => {
            const pressed = levels.includes(level);
            return (
              <button
                key={level}
                type="button"
                aria-pressed={pressed}
                onClick={() => refine({ level: LOG_LEVELS.filter((other) => (other === level ? !pressed : levels.includes(other))) })}
                className={cn(
                  "h-8 rounded-full border px-3 text-xs",
                  pressed ? "border-accent bg-accent-soft font-medium" : "border-line bg-card text-ink-soft hover:bg-sunken",
                )}
              >
                {level}
              </button>
            );
          })}
        </div>
      </PageHeader>
      <PagedTable
        label="Log lines"
        query={lines}
        keyOf={(line) => `${line.taskExternalId}-${line.createdAt}-${line.message}`}
        empty={
          <Notice title="No log lines">
            <p>
              What tasks write with <code className="font-mono text-xs">ctx.log(…)</code> appears here, the newest first.
            </p>
          </Notice>
        }
        columns={[
          { title: "Message", cell: (line) => <span className="font-mono text-xs font-normal break-words whitespace-pre-wrap">{line.message}</span> },
          { title: "Level", cell: (line) => <span className={cn("font-mono text-xs", LOOKS[line.level])}>{line.level}</span> },
          {
            title: "Task",
            cell: (line) => (
              <Link to="/runs/$id" params={{ id: line.taskExternalId }} className="text-accent underline">
                {line.taskDisplayName}
              </Link>
            ),
          },
          { title: "Time", cell: (line) => <LocalTime instantMs={line.createdAt} /> },
        ]}
      />
    </>
  );
}
