import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { SearchBox } from "../components/SearchBox";
import { LocalTime } from "../components/Times";
import { TimeWindowChoice } from "../components/TimeWindowChoice";
import { Button } from "../components/ui/button";
import { Select } from "../components/ui/field";
import { tracesQuery } from "../services/traces";
import { formatDuration } from "../time/format";
import { DEFAULT_WINDOW, WINDOW_MS, type TracesSearch } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/traces");
const LEAST_MS = [10, 100, 1_000, 10_000, 60_000];

export function TracesPage() {
  useTitle("Traces");
  const { tenant } = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  // A window that moved with the clock would be another question with every second.
  const [openedAtMs, setOpenedAtMs] = useState(() => Date.now());
  const timeWindow = search.window ?? DEFAULT_WINDOW;
  const isFiltered = search.name !== undefined || search.service !== undefined || search.failed === true || search.least !== undefined;
  const traces = useInfiniteQuery(
    tracesQuery(tenant.id, {
      name: search.name ?? "",
      service: search.service ?? "",
      failedOnly: search.failed === true,
      minDurationMs: search.least ?? null,
      since: new Date(openedAtMs - WINDOW_MS[timeWindow]).toISOString(),
    }),
  );

  function refine(change: Partial<TracesSearch>): void {
    const next = { ...search, ...change };
    setOpenedAtMs(Date.now());
    void navigate({
      search: {
        ...(next.name !== undefined && next.name !== "" && { name: next.name }),
        ...(next.service !== undefined && next.service !== "" && { service: next.service }),
        ...(next.failed === true && { failed: true }),
        ...(next.least !== undefined && { least: next.least }),
        ...(next.window !== undefined && next.window !== DEFAULT_WINDOW && { window: next.window }),
      },
      replace: true,
    });
  }

  return (
    <>
      <PageHeader title="Traces" docs="observability">
        <SearchBox label="Name of a span" value={search.name ?? ""} onChange={(name) => refine({ name })} />
        <SearchBox label="Service" value={search.service ?? ""} onChange={(service) => refine({ service })} />
        <Button aria-pressed={search.failed === true} className={search.failed === true ? "border-accent bg-accent-soft" : ""} onClick={() => refine({ failed: search.failed !== true })}>
          With errors
        </Button>
        <Select
          aria-label="Least duration"
          className="w-auto"
          value={search.least ?? ""}
          onChange={(event) => refine({ least: event.target.value === "" ? undefined : Number(event.target.value) })}
        >
          <option value="">Of any length</option>
          {LEAST_MS.map((ms) => (
            <option key={ms} value={ms}>
              {formatDuration(ms)} or longer
            </option>
          ))}
        </Select>
        <TimeWindowChoice value={timeWindow} onChange={(window) => refine({ window })} />
      </PageHeader>
      <PagedTable
        label="Traces"
        query={traces}
        keyOf={(trace) => trace.traceId}
        empty={isFiltered ? <Notice title="No trace matches this filter" action={<Button onClick={() => void navigate({ search: {} })}>Show all traces</Button>} /> : <HowToSend />}
        columns={[
          {
            title: "Trace",
            cell: (trace) => (
              <Link to="/traces/$id" params={{ id: trace.traceId }} className="break-all hover:text-accent hover:underline">
                {trace.name}
              </Link>
            ),
          },
          { title: "Services", cell: (trace) => trace.serviceNames.join(", ") },
          {
            title: "Spans",
            cell: (trace) => (
              <span className="tabular-nums">
                {trace.spans}
                {trace.errors > 0 && <span className="text-failed">, {trace.errors} with an error</span>}
              </span>
            ),
          },
          { title: "Duration", cell: (trace) => <span className="tabular-nums">{formatDuration(trace.durationMs)}</span> },
          { title: "Started", cell: (trace) => <LocalTime instantMs={trace.startedAt} /> },
          {
            title: "Run",
            cell: (trace) =>
              trace.runExternalId === null ? (
                "–"
              ) : (
                <Link to="/runs/$id" params={{ id: trace.runExternalId }} aria-label={`Run of ${trace.name}`} className="text-accent underline">
                  its run
                </Link>
              ),
          },
        ]}
      />
    </>
  );
}

function HowToSend() {
  return (
    <Notice title="No traces in this time">
      <p>
        Programs that send OpenTelemetry spans to the engine have their traces here; the{" "}
        <a href="/docs/observability#traces" target="_blank" rel="noreferrer" className="text-accent underline">
          documentation
        </a>{" "}
        says how. The engine&apos;s own spans of a run are on the run&apos;s page.
      </p>
    </Notice>
  );
}
