import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";

import { Chips } from "../components/Chips";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { SearchBox } from "../components/SearchBox";
import { Ago } from "../components/Times";
import { Button } from "../components/ui/button";
import { Labels, loadOf, PauseButton, runtimeOf, SlotBar, WorkerStatus, WORKER_STATE_LABELS } from "../components/WorkerParts";
import type { Worker } from "../services/schemas";
import { workerPagesQuery, WORKER_STATES } from "../services/workers";
import type { WorkersSearch } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/workers");

export function WorkersPage() {
  useTitle("Workers");
  const { tenant } = useSession();
  const { status = [], label = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const workers = useInfiniteQuery(workerPagesQuery(tenant.id, status, label));

  function refine(change: Partial<WorkersSearch>): void {
    const next = { status, label, ...change };
    void navigate({
      search: {
        ...(next.status !== undefined && next.status.length > 0 && { status: next.status }),
        ...(next.label !== undefined && next.label !== "" && { label: next.label }),
      },
      replace: true,
    });
  }

  return (
    <>
      <PageHeader title="Workers" docs="concepts">
        <SearchBox label="Label, key:value" value={label} onChange={(text) => refine({ label: text })} />
        <Chips label="Filter by status" values={WORKER_STATES} labels={WORKER_STATE_LABELS} chosen={status} onChange={(states) => refine({ status: states })} />
      </PageHeader>
      <PagedTable
        label="Workers"
        query={workers}
        keyOf={(worker) => worker.metadata.id}
        empty={<NoWorkers isFiltered={status.length > 0 || label !== ""} onShowAll={() => refine({ status: [], label: "" })} />}
        columns={[
          { title: "Worker", cell: (worker) => <Name worker={worker} /> },
          { title: "Status", cell: (worker) => <WorkerStatus status={worker.status} /> },
          { title: "Slots in use", cell: (worker) => <Slots worker={worker} /> },
          { title: "Last heartbeat", cell: (worker) => (worker.lastHeartbeatAt === null ? "never" : <Ago instantMs={worker.lastHeartbeatAt} />) },
          { title: "Labels", cell: (worker) => <Labels worker={worker} /> },
          {
            title: "Actions",
            cell: (worker) => (
              <Link to="/workers/$id" params={{ id: worker.metadata.id }} className="text-accent underline">
                {worker.actions.length}
                <span className="sr-only"> actions of {worker.name}</span>
              </Link>
            ),
          },
          { title: "Pause", isUntitled: true, cell: (worker) => <PauseButton worker={worker} /> },
        ]}
      />
    </>
  );
}

function Name({ worker }: { worker: Worker }) {
  return (
    <>
      <Link to="/workers/$id" params={{ id: worker.metadata.id }} title={worker.metadata.id} className="break-all hover:text-accent hover:underline">
        {worker.name}
      </Link>
      <span className="block text-xs font-normal text-ink-soft">{runtimeOf(worker)}</span>
    </>
  );
}

function Slots({ worker }: { worker: Worker }) {
  return (
    <div className="inline-block min-w-32 align-top">
      {Object.entries(worker.slotConfig).map(([kind, slots]) => (
        <span key={kind} className="block whitespace-nowrap tabular-nums">
          {slots.available === null ? "–" : slots.limit - slots.available} of {slots.limit} <span className="text-ink-soft">{kind}</span>
        </span>
      ))}
      <div className="mt-1">
        <SlotBar name={worker.name} {...loadOf(worker)} />
      </div>
    </div>
  );
}

function NoWorkers({ isFiltered, onShowAll }: { isFiltered: boolean; onShowAll: () => void }) {
  if (isFiltered) return <Notice title="No worker matches this filter" action={<Button onClick={onShowAll}>Show all workers</Button>} />;
  return (
    <Notice title="No workers">
      <p>
        No worker has been seen in the last day. Start one with the variables that{" "}
        <code className="font-mono text-xs">broadaxe dev</code> printed, or with those of a{" "}
        <Link to="/settings/tokens" className="text-accent underline">
          new token
        </Link>
        .
      </p>
    </Notice>
  );
}
