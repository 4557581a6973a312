/** How busy the workers are that are there now. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { workersQuery } from "../services/workers";
import { ErrorNotice, Loading } from "./Notice";
import { Card, CardHeader } from "./ui/card";
import { loadOf, SlotBar, WorkerStatus } from "./WorkerParts";

const SHOWN_MAX = 8;

export function WorkerLoad({ tenantId }: { tenantId: string }) {
  const workers = useQuery(workersQuery(tenantId));
  const here = (workers.data ?? [])
    .filter((worker) => worker.status !== "INACTIVE")
    .map((worker) => ({ worker, ...loadOf(worker) }))
    .sort((left, right) => right.used / Math.max(1, right.limit) - left.used / Math.max(1, left.limit));
  const used = here.reduce((sum, one) => sum + one.used, 0);
  const limit = here.reduce((sum, one) => sum + one.limit, 0);
  return (
    <Card aria-label="Workers">
      <CardHeader title="Workers">
        <Link to="/workers" className="text-sm text-accent underline">
          {here.length > 0 && `${used} of ${limit} slots in use, `}all workers
        </Link>
      </CardHeader>
      {workers.data === undefined ? (
        workers.error ? (
          <ErrorNotice error={workers.error} onRetry={() => void workers.refetch()} />
        ) : (
          <Loading label="Loading workers…" />
        )
      ) : here.length === 0 ? (
        <p className="px-4 py-6 text-sm text-ink-soft">No worker is connected, so nothing that waits can start.</p>
      ) : (
        <ul className="divide-y divide-line text-sm">
          {here.slice(0, SHOWN_MAX).map((one) => (
            <li key={one.worker.metadata.id} className="px-4 py-2">
              <div className="mb-1 flex items-baseline justify-between gap-3">
                <Link to="/workers/$id" params={{ id: one.worker.metadata.id }} className="min-w-0 truncate font-medium hover:text-accent hover:underline">
                  {one.worker.name}
                </Link>
                <span className="flex shrink-0 items-center gap-2 text-xs tabular-nums">
                  {one.worker.status === "PAUSED" && <WorkerStatus status="PAUSED" />}
                  {one.used} of {one.limit}
                </span>
              </div>
              <SlotBar name={one.worker.name} used={one.used} limit={one.limit} />
            </li>
          ))}
        </ul>
      )}
      {here.length > SHOWN_MAX && <p className="border-t border-line px-4 py-2 text-xs text-ink-soft">The busiest {SHOWN_MAX} of {here.length}.</p>}
    </Card>
  );
}
