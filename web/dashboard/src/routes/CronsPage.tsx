import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { BackfillDialog } from "../components/BackfillDialog";
import { ChosenBar } from "../components/ChosenBar";
import { ConfirmButton } from "../components/ConfirmButton";
import { CronDialog } from "../components/CronDialog";
import { Notice, Refusal } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { StartWorkflowButton } from "../components/StartWorkflowButton";
import { Ago, LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { forEachOf } from "../services/bulk";
import { rowsIn } from "../services/pages";
import { cronsQuery, cronTicksQuery, deleteCron, runCron, setCronEnabled, type Cron } from "../services/triggers";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/crons");
/** What the engine computes in one answer; the rows behind show their expression only. */
const TICKS_AT_ONCE_MAX = 100;

export function CronsPage() {
  useTitle("Crons");
  const { tenant } = useSession();
  const { workflow } = route.useSearch();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const crons = useInfiniteQuery(cronsQuery(tenant.id, workflow ?? null));
  const rows = crons.data === undefined ? [] : rowsIn(crons.data);
  const expressions = [...new Set(rows.filter((cron) => cron.enabled).map((cron) => cron.cron))].slice(0, TICKS_AT_ONCE_MAX);
  const ticks = useQuery({ ...cronTicksQuery(tenant.id, expressions, 1), enabled: expressions.length > 0 });
  const nextOf = new Map(ticks.data?.map((one) => [one.expression, one.ticks[0]]));
  const titleOf = (cron: Cron) => cron.name ?? cron.cron;
  return (
    <>
      <PageHeader title="Crons" docs="triggers#crons">
        <StartWorkflowButton label="Create a cron" when="cron" />
      </PageHeader>
      <ChosenBar chosen={chosen} onChoose={setChosen}>
        <BulkActs tenantId={tenant.id} chosen={chosen} onDone={() => setChosen(new Set())} />
      </ChosenBar>
      <PagedTable
        label="Crons"
        query={crons}
        keyOf={(cron) => cron.metadata.id}
        choosing={{ chosen, onChoose: setChosen, nameOf: titleOf }}
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
          { title: "Next run", cell: (cron) => <NextRun isEnabled={cron.enabled} atMs={nextOf.get(cron.cron)} /> },
          { title: "Actions", isUntitled: true, cell: (cron) => <CronActions tenantId={tenant.id} cron={cron} /> },
        ]}
      />
    </>
  );
}

function NextRun({ isEnabled, atMs }: { isEnabled: boolean; atMs: number | undefined }) {
  if (!isEnabled) return <span className="text-cancelled">paused</span>;
  if (atMs === undefined) return <span className="text-ink-soft">–</span>;
  return (
    <>
      <LocalTime instantMs={atMs} />
      <span className="ml-2 text-xs text-ink-soft">
        <Ago instantMs={atMs} />
      </span>
    </>
  );
}

function BulkActs({ tenantId, chosen, onDone }: { tenantId: string; chosen: ReadonlySet<string>; onDone: () => void }) {
  const client = useQueryClient();
  const switching = useMutation({
    mutationFn: (enabled: boolean) => forEachOf(chosen, (id) => setCronEnabled(tenantId, id, enabled)),
    onSuccess: onDone,
    onSettled: () => client.invalidateQueries({ queryKey: ["crons"] }),
  });
  return (
    <>
      <Button size="small" disabled={switching.isPending} onClick={() => switching.mutate(false)}>
        Pause
      </Button>
      <Button size="small" disabled={switching.isPending} onClick={() => switching.mutate(true)}>
        Resume
      </Button>
      <ConfirmButton
        label="Delete…"
        accessibleName="Delete the chosen crons"
        title={`Delete ${chosen.size} crons?`}
        confirm={`Delete ${chosen.size}`}
        act={() => forEachOf(chosen, (id) => deleteCron(tenantId, id))}
        onDone={() => {
          onDone();
          void client.invalidateQueries({ queryKey: ["crons"] });
        }}
      >
        <p>They do not tick any more. Those that are declared in code come back when their workflow is registered again.</p>
      </ConfirmButton>
      {switching.error !== null && <Refusal error={switching.error} />}
    </>
  );
}

function CronActions({ tenantId, cron }: { tenantId: string; cron: Cron }) {
  const client = useQueryClient();
  const navigate = route.useNavigate();
  const [edits, setEdits] = useState(false);
  const [backfillsAtMs, setBackfillsAtMs] = useState<number | null>(null);
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
      <Button size="small" aria-label={`Backfill ${name}`} onClick={() => setBackfillsAtMs(Date.now())}>
        Backfill
      </Button>
      {cron.method === "API" && (
        <Button size="small" aria-label={`Edit ${name}`} onClick={() => setEdits(true)}>
          Edit
        </Button>
      )}
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
      {error !== null && <Refusal error={error} className="w-full text-right text-xs" />}
      {backfillsAtMs !== null && (
        <BackfillDialog tenantId={tenantId} cron={cron} openedMs={backfillsAtMs} onClose={() => setBackfillsAtMs(null)} />
      )}
      {edits && <CronDialog tenantId={tenantId} cron={cron} onClose={() => setEdits(false)} />}
    </div>
  );
}
