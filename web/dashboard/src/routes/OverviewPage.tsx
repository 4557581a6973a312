import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { LoadCharts } from "../components/charts/LoadCharts";
import { useRefreshed } from "../components/charts/useRefreshed";
import { FirstRunGuide } from "../components/firstRun/FirstRunGuide";
import { ErrorNotice, Loading, StaleBanner } from "../components/Notice";
import { PageHeader } from "../components/PageHeader";
import { RecentRuns } from "../components/RecentRuns";
import { WorkerLoad } from "../components/WorkerLoad";
import { TimeWindowChoice } from "../components/TimeWindowChoice";
import { loadQuery } from "../services/load";
import { newestRunQuery } from "../services/overview";
import { runsWithin, statusCountsQuery } from "../services/runSearch";
import { DEFAULT_WINDOW, WINDOW_MS, type TimeWindow } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/");

export function OverviewPage() {
  useTitle("Overview");
  const { tenant } = useSession();
  const newest = useQuery(newestRunQuery(tenant.id));
  // A newcomer stays with the guide, where the first run appears, until they leave it.
  const [isGuided, setIsGuided] = useState(false);
  if (newest.data === null && !isGuided) setIsGuided(true);
  if (newest.data === undefined) {
    return newest.error ? <ErrorNotice error={newest.error} onRetry={() => void newest.refetch()} /> : <Loading label="Loading the overview…" />;
  }
  if (isGuided) {
    return (
      <>
        <PageHeader title="Your first run" docs="quickstart" />
        <FirstRunGuide tenantId={tenant.id} first={newest.data} onLeave={() => setIsGuided(false)} />
      </>
    );
  }
  return (
    <>
      {newest.error !== null && <StaleBanner error={newest.error} />}
      <WhatGoesOn tenantId={tenant.id} />
    </>
  );
}

function WhatGoesOn({ tenantId }: { tenantId: string }) {
  const navigate = route.useNavigate();
  const range: TimeWindow = route.useSearch().range ?? DEFAULT_WINDOW;
  const windowMs = WINDOW_MS[range];
  const counts = useQuery(statusCountsQuery(tenantId, runsWithin(windowMs))).data ?? null;
  const load = useQuery(loadQuery(tenantId, windowMs));
  useRefreshed(counts, () => void load.refetch());
  const inList = range === DEFAULT_WINDOW ? {} : { window: range };

  return (
    <div className="space-y-5">
      <PageHeader title="Overview" docs="observability">
        <TimeWindowChoice value={range} onChange={(next) => void navigate({ search: next === DEFAULT_WINDOW ? {} : { range: next }, replace: true })} />
      </PageHeader>
      <div className="grid items-start gap-5 lg:grid-cols-3">
        <RecentRuns
          tenantId={tenantId}
          status="FAILED"
          title="Failed"
          nothing="Nothing has failed."
          windowMs={windowMs}
          count={counts?.FAILED ?? null}
          all={{ ...inList, status: ["FAILED"] }}
        />
        <RecentRuns
          tenantId={tenantId}
          status="QUEUED"
          title="Waiting"
          nothing="Nothing waits."
          windowMs={windowMs}
          count={counts?.QUEUED ?? null}
          all={{ ...inList, status: ["QUEUED"] }}
        />
        <RecentRuns
          tenantId={tenantId}
          status="RUNNING"
          title="Running now"
          nothing="Nothing runs."
          windowMs={windowMs}
          count={counts?.RUNNING ?? null}
          all={{ ...inList, status: ["RUNNING"] }}
        />
      </div>
      <LoadCharts
        load={load}
        onChoose={({ fromMs, toMs }, statuses) =>
          void navigate({
            to: "/runs",
            search: {
              from: new Date(fromMs).toISOString(),
              to: new Date(toMs).toISOString(),
              ...(statuses.length > 0 && { status: [...statuses] }),
            },
          })
        }
      />
      <WorkerLoad tenantId={tenantId} />
      <p className="text-xs text-ink-soft">
        Be told when something goes wrong:{" "}
        <Link to="/settings/alerts" className="underline hover:text-ink">
          Alerts
        </Link>
        . Prometheus reads{" "}
        <code className="font-mono break-all">/api/v1/tenants/{tenantId}/prometheus-metrics</code> with an API token;{" "}
        <a href="/docs/observability#metrics-of-one-tenant" target="_blank" rel="noreferrer" className="underline hover:text-ink">
          what it exports
        </a>
        .
      </p>
    </div>
  );
}
