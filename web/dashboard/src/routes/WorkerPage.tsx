import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";

import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { PageHeader } from "../components/PageHeader";
import { Ago, LocalTime } from "../components/Times";
import { Card, CardHeader } from "../components/ui/card";
import { PauseButton, runtimeOf, WorkerStatus } from "../components/WorkerParts";
import { isNotFound } from "../services/http";
import type { Worker } from "../services/schemas";
import { workerQuery } from "../services/workers";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/workers/$id");

export function WorkerPage() {
  const { id } = route.useParams();
  const worker = useQuery(workerQuery(id));
  if (worker.data !== undefined) {
    return (
      <>
        {worker.error !== null && <StaleBanner error={worker.error} />}
        <WorkerView worker={worker.data} />
      </>
    );
  }
  if (worker.error === null) return <Loading label="Loading the worker…" />;
  if (isNotFound(worker.error)) {
    return (
      <Notice level="h1" title="There is no such worker" action={<Link to="/workers" className="text-accent underline">Go to the workers</Link>} />
    );
  }
  return <ErrorNotice error={worker.error} onRetry={() => void worker.refetch()} />;
}

function WorkerView({ worker }: { worker: Worker }) {
  useTitle(worker.name);
  return (
    <div className="space-y-5">
      <PageHeader
        docs="concepts"
        title={
          <span className="flex flex-wrap items-center gap-3">
            {worker.name}
            <WorkerStatus status={worker.status} />
          </span>
        }
      >
        <PauseButton worker={worker} />
      </PageHeader>
      <div className="grid items-start gap-5 lg:grid-cols-2">
        <Card aria-label="About">
          <CardHeader title="About" />
          <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-2 px-4 py-3 text-sm [&_dt]:text-ink-soft">
            <dt>Id</dt>
            <dd>
              <code className="font-mono text-xs break-all">{worker.metadata.id}</code>
            </dd>
            <dt>Runtime</dt>
            <dd>{runtimeOf(worker) || "not told"}</dd>
            <dt>Registered</dt>
            <dd>
              <LocalTime instantMs={worker.metadata.createdAt} />
            </dd>
            <dt>Last heartbeat</dt>
            <dd>{worker.lastHeartbeatAt === null ? "never" : <Ago instantMs={worker.lastHeartbeatAt} />}</dd>
            <dt>Connected since</dt>
            <dd>{worker.lastListenerEstablished === null ? "never" : <LocalTime instantMs={worker.lastListenerEstablished} />}</dd>
            {Object.entries(worker.slotConfig).map(([kind, slots]) => (
              <SlotRow key={kind} kind={kind} limit={slots.limit} available={slots.available} />
            ))}
            <dt>Labels</dt>
            <dd>{worker.labels.length === 0 ? "none" : worker.labels.map((label) => `${label.key}=${label.value}`).join(", ")}</dd>
          </dl>
        </Card>
        <Card aria-label="Running now">
          <CardHeader title={`Running now (${worker.slots.length})`} />
          {worker.slots.length === 0 ? (
            <p className="px-4 py-6 text-sm text-ink-soft">Nothing.</p>
          ) : (
            <ul className="divide-y divide-line text-sm">
              {worker.slots.map((slot) => (
                <li key={slot.stepRunId} className="flex flex-wrap justify-between gap-2 px-4 py-2">
                  <Link to="/runs/$id" params={{ id: slot.stepRunId }} className="text-accent underline">
                    {slot.actionId}
                  </Link>
                  {slot.startedAt !== null && <Ago instantMs={slot.startedAt} />}
                </li>
              ))}
            </ul>
          )}
        </Card>
        <Card aria-label="Actions" className="lg:col-span-2">
          <CardHeader title={`Actions (${worker.actions.length})`} />
          <ul className="grid gap-x-4 gap-y-1 px-4 py-3 font-mono text-xs sm:grid-cols-2 lg:grid-cols-3">
            {worker.actions.map((action) => (
              <li key={action} className="break-all">
                {action}
              </li>
            ))}
          </ul>
        </Card>
      </div>
    </div>
  );
}

function SlotRow({ kind, limit, available }: { kind: string; limit: number; available: number | null }) {
  return (
    <>
      <dt>Slots ({kind})</dt>
      <dd className="tabular-nums">
        {available === null ? "–" : limit - available} of {limit} in use
      </dd>
    </>
  );
}
