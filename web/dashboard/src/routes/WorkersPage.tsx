import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { Ago } from "../components/Times";
import { Button } from "../components/ui/button";
import { Card } from "../components/ui/card";
import { cn } from "../components/ui/classes";
import type { Worker } from "../services/schemas";
import { setWorkerPaused, workersQuery } from "../services/workers";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const LOOKS = {
  ACTIVE: { label: "Active", look: "bg-completed-soft text-completed" },
  PAUSED: { label: "Paused", look: "bg-cancelled-soft text-cancelled" },
  INACTIVE: { label: "Inactive", look: "bg-queued-soft text-queued" },
} as const;

const ACTIONS_SHOWN_MAX = 4;

export function WorkersPage() {
  useTitle("Workers");
  const { tenant } = useSession();
  const workers = useQuery(workersQuery(tenant.id));

  return (
    <>
      <h1 className="mb-4 text-xl font-semibold">Workers</h1>
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
              No worker has been seen in the last day. Start one in a terminal with the variables that{" "}
              <code className="font-mono text-xs">broadaxe dev</code> printed.
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
    <div className="overflow-x-auto">
      <table aria-label="Workers" className="w-full text-left text-sm">
        <thead className="text-xs text-ink-soft">
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
        <tbody>
          {workers.map((worker) => (
            <tr key={worker.metadata.id} data-testid="worker-row" className="border-b border-line last:border-0">
              <th scope="row" className="px-4 py-2.5 align-top font-medium" title={worker.metadata.id}>
                {worker.name}
                <span className="block text-xs font-normal text-ink-soft">{runtimeOf(worker)}</span>
              </th>
              <td className="px-4 py-2.5 align-top">
                <span
                  data-testid="status"
                  className={cn("rounded-full px-2.5 py-0.5 text-xs font-medium", LOOKS[worker.status].look)}
                >
                  {LOOKS[worker.status].label}
                </span>
              </td>
              <td className="px-4 py-2.5 align-top">
                {Object.entries(worker.slotConfig).map(([kind, slots]) => (
                  <span key={kind} className="block whitespace-nowrap tabular-nums">
                    {slots.available === null ? "–" : slots.limit - slots.available} of {slots.limit}{" "}
                    <span className="text-ink-soft">{kind}</span>
                  </span>
                ))}
              </td>
              <td className="px-4 py-2.5 align-top">
                {worker.lastHeartbeatAt === null ? "never" : <Ago instantMs={worker.lastHeartbeatAt} />}
              </td>
              <td className="px-4 py-2.5 align-top font-mono text-xs text-ink-soft" title={worker.actions.join("\n")}>
                {worker.actions.slice(0, ACTIONS_SHOWN_MAX).map((action) => (
                  <span key={action} className="block break-all">
                    {action}
                  </span>
                ))}
                {worker.actions.length > ACTIONS_SHOWN_MAX && <span>+{worker.actions.length - ACTIONS_SHOWN_MAX} more</span>}
              </td>
              <td className="px-4 py-2.5 text-right align-top">
                <PauseButton worker={worker} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function PauseButton({ worker }: { worker: Worker }) {
  const client = useQueryClient();
  const paused = worker.status === "PAUSED";
  const toggle = useMutation({
    mutationFn: () => setWorkerPaused(worker.metadata.id, !paused),
    onSettled: () => client.invalidateQueries({ queryKey: ["workers"] }),
  });
  // Whether a worker that is away was paused is not told, so there is nothing to toggle.
  if (worker.status === "INACTIVE") return null;
  return (
    <>
      <Button
        size="small"
        aria-label={`${paused ? "Resume" : "Pause"} ${worker.name}`}
        title={paused ? "Give it tasks again" : "Give it no new tasks; what is running goes on"}
        disabled={toggle.isPending}
        onClick={() => toggle.mutate()}
      >
        {paused ? "Resume" : "Pause"}
      </Button>
      {toggle.error !== null && (
        <span role="alert" className="block text-xs text-failed">
          {toggle.error.message}
        </span>
      )}
    </>
  );
}

const LANGUAGES: Readonly<Record<string, string>> = { PYTHON: "Python", TYPESCRIPT: "TypeScript", GOLANG: "Go", RUBY: "Ruby" };

function runtimeOf({ runtimeInfo }: Worker): string {
  if (runtimeInfo === null) return "";
  const { language, languageVersion, sdkVersion } = runtimeInfo;
  const parts = [
    language === null ? null : [LANGUAGES[language] ?? language, languageVersion].filter(Boolean).join(" "),
    sdkVersion === null ? null : `SDK ${sdkVersion}`,
  ];
  return parts.filter(Boolean).join(" · ");
}
