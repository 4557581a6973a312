import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { PageHeader } from "../components/PageHeader";
import { Ago } from "../components/Times";
import { Card } from "../components/ui/card";
import { PauseButton, runtimeOf, WorkerStatus } from "../components/WorkerParts";
import type { Worker } from "../services/schemas";
import { workersQuery } from "../services/workers";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const ACTIONS_SHOWN_MAX = 4;

export function WorkersPage() {
  useTitle("Workers");
  const { tenant } = useSession();
  const workers = useQuery(workersQuery(tenant.id));

  return (
    <>
      <PageHeader title="Workers" docs="concepts" />
      {workers.error !== null && workers.data !== undefined && <StaleBanner error={workers.error} />}
      <Card aria-label="Worker list">
        {workers.data === undefined ? (
          workers.error ? (
            <ErrorNotice error={workers.error} onRetry={() => void workers.refetch()} />
          ) : (
            <Loading label="Loading workers…" />
          )
        ) : workers.data.length === 0 ? (
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
        ) : (
          <WorkerTable workers={workers.data} />
        )}
      </Card>
    </>
  );
}

function WorkerTable({ workers }: { workers: readonly Worker[] }) {
  return (
    <table aria-label="Workers" className="block w-full text-left text-sm md:table">
      <thead className="hidden text-xs text-ink-soft md:table-header-group">
        <tr className="border-b border-line">
          {["Worker", "Status", "Slots in use", "Last heartbeat", "Actions"].map((title) => (
            <th key={title} scope="col" className="px-4 py-2 font-medium">
              {title}
            </th>
          ))}
          <th scope="col" className="px-4 py-2">
            <span className="sr-only">Pause</span>
          </th>
        </tr>
      </thead>
      <tbody className="block md:table-row-group">
        {workers.map((worker) => (
          <tr
            key={worker.metadata.id}
            data-testid="worker-row"
            className="block border-b border-line px-4 py-2 last:border-0 md:table-row md:p-0 [&>*]:block [&>*]:py-1 [&>*]:align-top md:[&>*]:table-cell md:[&>*]:px-4 md:[&>*]:py-2.5"
          >
            <th scope="row" className="font-medium" title={worker.metadata.id}>
              <Link to="/workers/$id" params={{ id: worker.metadata.id }} className="break-all hover:text-accent hover:underline">
                {worker.name}
              </Link>
              <span className="block text-xs font-normal text-ink-soft">{runtimeOf(worker)}</span>
            </th>
            <td>
              <WorkerStatus status={worker.status} />
            </td>
            <td>
              {Object.entries(worker.slotConfig).map(([kind, slots]) => (
                <span key={kind} className="block whitespace-nowrap tabular-nums">
                  {slots.available === null ? "–" : slots.limit - slots.available} of {slots.limit}{" "}
                  <span className="text-ink-soft">{kind}</span>
                </span>
              ))}
            </td>
            <td>{worker.lastHeartbeatAt === null ? "never" : <Ago instantMs={worker.lastHeartbeatAt} />}</td>
            <td className="font-mono text-xs text-ink-soft">
              {worker.actions.slice(0, ACTIONS_SHOWN_MAX).map((action) => (
                <span key={action} className="block break-all">
                  {action}
                </span>
              ))}
              {worker.actions.length > ACTIONS_SHOWN_MAX && (
                <Link
                  to="/workers/$id"
                  params={{ id: worker.metadata.id }}
                  aria-label={`${worker.actions.length - ACTIONS_SHOWN_MAX} more actions of ${worker.name}`}
                  className="text-accent underline"
                >
                  {worker.actions.length - ACTIONS_SHOWN_MAX} more
                </Link>
              )}
            </td>
            <td className="md:text-right">
              <PauseButton worker={worker} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
