import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";

import { ConfirmButton } from "../components/ConfirmButton";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { StartWorkflowButton } from "../components/StartWorkflowButton";
import { Button } from "../components/ui/button";
import { cronsQuery, deleteCron, runCron, setCronEnabled, type Cron } from "../services/triggers";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/crons");

export function CronsPage() {
  useTitle("Crons");
  const { tenant } = useSession();
  const { workflow } = route.useSearch();
  const crons = useInfiniteQuery(cronsQuery(tenant.id, workflow ?? null));
  return (
    <>
      <PageHeader title="Crons" docs="triggers#crons">
        <StartWorkflowButton label="Create a cron" when="cron" />
      </PageHeader>
      <PagedTable
        label="Crons"
        query={crons}
        keyOf={(cron) => cron.metadata.id}
        empty={
          <Notice title={workflow === undefined ? "No crons" : "This workflow has no crons"}>
            <p>
              A workflow says when it runs with <code className="font-mono text-xs">on_crons</code>, or you create one here.
            </p>
          </Notice>
        }
        columns={[
          { title: "Cron", cell: (cron) => cron.name ?? (cron.method === "DEFAULT" ? "declared in code" : "unnamed") },
          {
            title: "Workflow",
            cell: (cron) => (
              <Link to="/workflows/$id" params={{ id: cron.workflowId }} className="text-accent underline">
                {cron.workflowName}
              </Link>
            ),
          },
          { title: "Expression", cell: (cron) => <code className="font-mono text-xs">{cron.cron}</code> },
          { title: "State", cell: (cron) => (cron.enabled ? "ticks" : <span className="text-cancelled">paused</span>) },
          { title: "Actions", isUntitled: true, cell: (cron) => <CronActions tenantId={tenant.id} cron={cron} /> },
        ]}
      />
    </>
  );
}

function CronActions({ tenantId, cron }: { tenantId: string; cron: Cron }) {
  const client = useQueryClient();
  const navigate = route.useNavigate();
  const id = cron.metadata.id;
  const name = cron.name ?? cron.cron;
  const refresh = () => void client.invalidateQueries({ queryKey: ["crons"] });
  const toggle = useMutation({ mutationFn: () => setCronEnabled(tenantId, id, !cron.enabled), onSettled: refresh });
  const run = useMutation({
    mutationFn: () => runCron(tenantId, id),
    onSuccess: (runId) => navigate({ to: "/runs/$id", params: { id: runId } }),
  });
  const error = toggle.error ?? run.error;
  return (
    <div className="flex flex-wrap justify-end gap-1.5">
      <Button size="small" aria-label={`Run now: ${name}`} disabled={run.isPending} onClick={() => run.mutate()}>
        Run now
      </Button>
      <Button
        size="small"
        aria-label={`${cron.enabled ? "Pause" : "Resume"} ${name}`}
        disabled={toggle.isPending}
        onClick={() => toggle.mutate()}
      >
        {cron.enabled ? "Pause" : "Resume"}
      </Button>
      <ConfirmButton
        label="Delete"
        accessibleName={`Delete ${name}`}
        title={`Delete the cron ${name}?`}
        confirm="Delete it"
        act={() => deleteCron(tenantId, id)}
        onDone={refresh}
      >
        <p>It does not tick any more.{cron.method === "DEFAULT" && " It comes back when the workflow that declares it is registered again."}</p>
      </ConfirmButton>
      {error !== null && (
        <span role="alert" className="w-full text-right text-xs text-failed">
          {error.message}
        </span>
      )}
    </div>
  );
}
