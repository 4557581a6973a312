import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { TimeChart, type Series } from "../components/charts/TimeChart";
import { useRefreshed } from "../components/charts/useRefreshed";
import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { StatusPill } from "../components/StatusPill";
import { Ago, LocalTime, Took } from "../components/Times";
import { Card, CardHeader } from "../components/ui/card";
import { Labels, PauseButton, runtimeOf, WorkerStatus } from "../components/WorkerParts";
import { isNotFound } from "../services/http";
import type { Worker } from "../services/schemas";
import { workerLoadQuery } from "../services/load";
import { tasksOfWorkerQuery, workerQuery } from "../services/workers";
import { WINDOW_MS } from "./searches";
import { useSession } from "./useSession";
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
        <About worker={worker} />
        <RunningNow worker={worker} />
      </div>
      <LoadOverTime worker={worker} />
      <RanBefore worker={worker} />
      <Card aria-label="Actions">
        <CardHeader title={`Actions (${worker.actions.length})`} />
        <ul className="grid gap-x-4 gap-y-1 px-4 py-3 font-mono text-xs sm:grid-cols-2 lg:grid-cols-3">
          {worker.actions.map((action) => (
            <li key={action} className="break-all">
              {action}
            </li>
          ))}
        </ul>
        {worker.registeredWorkflows.length > 0 && (
          <p className="flex flex-wrap gap-x-3 gap-y-1 border-t border-line px-4 py-2 text-sm">
            <span className="text-ink-soft">Of the workflows</span>
            {worker.registeredWorkflows.map(({ id, name }) => (
              <Link key={id} to="/workflows/$id" params={{ id }} className="text-accent underline">
                {name}
              </Link>
            ))}
          </p>
        )}
      </Card>
    </div>
  );
}

function About({ worker }: { worker: Worker }) {
  const { runtimeInfo } = worker;
  return (
    <Card aria-label="About">
      <CardHeader title="About" />
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-2 px-4 py-3 text-sm [&_dt]:text-ink-soft">
        <dt>Id</dt>
        <dd>
          <code className="font-mono text-xs break-all">{worker.metadata.id}</code>
        </dd>
        <dt>Runtime</dt>
        <dd>{runtimeOf(worker) || "not told"}</dd>
        <dt>System</dt>
        <dd className="break-words">{runtimeInfo?.os ?? "not told"}</dd>
        {runtimeInfo !== null && runtimeInfo.runtimeExtra !== null && (
          <>
            <dt>More</dt>
            <dd className="break-words">{runtimeInfo.runtimeExtra}</dd>
          </>
        )}
        {worker.pausedBy !== null && (
          <>
            <dt>Paused by</dt>
            <dd className="break-words">{worker.pausedBy}</dd>
          </>
        )}
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
        <dd>
          <Labels worker={worker} />
        </dd>
      </dl>
    </Card>
  );
}

function RunningNow({ worker }: { worker: Worker }) {
  return (
    <Card aria-label="Running now">
      <CardHeader title={`Running now (${worker.slots.length})`} />
      {worker.slots.length === 0 ? (
        <p className="px-4 py-6 text-sm text-ink-soft">Nothing.</p>
      ) : (
        <ul className="max-h-80 divide-y divide-line overflow-y-auto text-sm">
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
  );
}

const AT_ONCE: readonly Series[] = [{ key: "running", label: "At once", color: "--running", format: String }];
const ENDED: readonly Series[] = [
  { key: "succeeded", label: "Succeeded", color: "--completed", format: String },
  { key: "failed", label: "Failed", color: "--failed", format: String },
];

/** Of the last day, from the tasks whose last attempt was the worker's. */
function LoadOverTime({ worker }: { worker: Worker }) {
  const { tenant } = useSession();
  const load = useQuery(workerLoadQuery(tenant.id, worker.metadata.id, WINDOW_MS["24h"]));
  useRefreshed(worker.slots, () => void load.refetch());
  if (load.data === undefined) {
    return <Card>{load.error ? <ErrorNotice error={load.error} onRetry={() => void load.refetch()} /> : <Loading label="Loading the charts…" />}</Card>;
  }
  const common = {
    points: load.data.results.map(({ time, ...values }) => ({ atMs: time, values })),
    widthMs: load.data.widthS * 1_000,
  };
  return (
    <div className="grid items-start gap-5 lg:grid-cols-2">
      <TimeChart {...common} title="Slots in use, last day" kind="lines" series={AT_ONCE} />
      <TimeChart {...common} title="Tasks that ended, last day" kind="bars" series={ENDED} />
    </div>
  );
}

function RanBefore({ worker }: { worker: Worker }) {
  const { tenant } = useSession();
  // A window that moved with the clock would be another question with every heartbeat.
  const [sinceMs] = useState(() => Date.now() - WINDOW_MS["24h"]);
  const tasks = useInfiniteQuery(tasksOfWorkerQuery(tenant.id, worker.metadata.id, sinceMs));
  return (
    <section aria-label="Its tasks">
      <h2 className="mb-2 text-sm font-semibold">Tasks of the last day</h2>
      <PagedTable
        label="Tasks of the last day"
        query={tasks}
        keyOf={(task) => task.taskExternalId}
        empty={<p className="px-4 py-6 text-sm text-ink-soft">It ran nothing in the last day.</p>}
        columns={[
          {
            title: "Task",
            cell: (task) => (
              <Link to="/runs/$id" params={{ id: task.taskExternalId }} className="hover:text-accent hover:underline">
                {task.displayName}
              </Link>
            ),
          },
          { title: "Status", cell: (task) => <StatusPill status={task.status} /> },
          { title: "Started", cell: (task) => (task.startedAt === null ? "–" : <Ago instantMs={task.startedAt} />) },
          { title: "Duration", cell: (task) => <Took span={task} live={task.status === "RUNNING"} /> },
          { title: "Attempt", cell: (task) => task.attempt },
        ]}
      />
    </section>
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
