import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { BackfillDialog } from "../components/BackfillDialog";
import { ChosenBar } from "../components/ChosenBar";
import { Confirmation, ConfirmButton } from "../components/ConfirmButton";
import { CronDialog } from "../components/CronDialog";
import { useMay } from "../components/may";
import { Notice, Refusal } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { StartWorkflowButton } from "../components/StartWorkflowButton";
import { Ago, LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { Menu } from "../components/ui/menu";
import { forEachOf } from "../services/bulk";
import { rowsIn } from "../services/pages";
import { cronsQuery, cronTicksQuery, deleteCron, runCron, setCronEnabled, type Cron } from "../services/triggers";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/crons");
/** What the engine computes in one answer; the rows behind show their expression only. */
const TICKS_AT_ONCE_MAX = 100;
const LOST_TICKS = "Ticks of the time until it is resumed do not come, also not later; a backfill makes their runs.";

export function CronsPage() {
  useTitle("Crons");
  const { tenant } = useSession();
  const { workflow } = route.useSearch();
  const may = useMay();
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
        {...(may("changeCron") && { choosing: { chosen, onChoose: setChosen, nameOf: titleOf } })}
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
  const refresh = () => client.invalidateQueries({ queryKey: ["crons"] });
  const resuming = useMutation({ mutationFn: () => forEachOf(chosen, (id) => setCronEnabled(tenantId, id, true)), onSuccess: onDone, onSettled: refresh });
  const many = chosen.size === 1 ? "1 cron" : `${chosen.size} crons`;
  const shared = {
    onDone: () => {
      onDone();
      void refresh();
    },
  };
  return (
    <>
      <ConfirmButton
        label="Pause…"
        needs="changeCron"
        accessibleName="Pause the chosen crons"
        variant="secondary"
        title={`Pause ${many}?`}
        confirm={`Pause ${chosen.size}`}
        act={() => forEachOf(chosen, (id) => setCronEnabled(tenantId, id, false))}
        {...shared}
      >
        <p>{LOST_TICKS}</p>
      </ConfirmButton>
      <Button size="small" needs="changeCron" aria-label="Resume the chosen crons" disabled={resuming.isPending} onClick={() => resuming.mutate()}>
        Resume
      </Button>
      <ConfirmButton
        label="Delete…"
        needs="deleteCron"
        accessibleName="Delete the chosen crons"
        title={`Delete ${many}?`}
        confirm={`Delete ${chosen.size}`}
        act={() => forEachOf(chosen, (id) => deleteCron(tenantId, id))}
        {...shared}
      >
        <p>They do not tick any more. Those that are declared in code come back when their workflow is registered again.</p>
      </ConfirmButton>
      {resuming.error !== null && <Refusal error={resuming.error} />}
    </>
  );
}

function CronActions({ tenantId, cron }: { tenantId: string; cron: Cron }) {
  const client = useQueryClient();
  const navigate = route.useNavigate();
  const [open, setOpen] = useState<"edit" | "delete" | null>(null);
  const [backfillsAtMs, setBackfillsAtMs] = useState<number | null>(null);
  const id = cron.metadata.id;
  const name = cron.name ?? cron.cron;
  const close = () => setOpen(null);
  const refresh = () => void client.invalidateQueries({ queryKey: ["crons"] });
  const resuming = useMutation({ mutationFn: () => setCronEnabled(tenantId, id, true), onSettled: refresh });
  const run = useMutation({
    mutationFn: () => runCron(tenantId, id),
    onSuccess: (runId) => navigate({ to: "/runs/$id", params: { id: runId } }),
  });
  const error = resuming.error ?? run.error;
  return (
    <div className="flex flex-wrap justify-end gap-1.5">
      <Button size="small" needs="runCron" aria-label={`Run now: ${name}`} disabled={run.isPending} onClick={() => run.mutate()}>
        Run now
      </Button>
      {cron.enabled ? (
        <ConfirmButton
          label="Pause"
          needs="changeCron"
          accessibleName={`Pause ${name}`}
          variant="secondary"
          title={`Pause the cron ${name}?`}
          confirm="Pause it"
          act={() => setCronEnabled(tenantId, id, false)}
          onDone={refresh}
        >
          <p>{LOST_TICKS}</p>
        </ConfirmButton>
      ) : (
        <Button size="small" needs="changeCron" aria-label={`Resume ${name}`} disabled={resuming.isPending} onClick={() => resuming.mutate()}>
          Resume
        </Button>
      )}
      <Menu
        label="More"
        accessibleName={`More for ${name}`}
        size="small"
        items={[
          ...(cron.method === "API" ? [{ label: "Edit…", needs: "changeCron" as const, onChoose: () => setOpen("edit") }] : []),
          { label: "Backfill…", needs: "backfill", onChoose: () => setBackfillsAtMs(Date.now()) },
          { label: "Delete…", needs: "deleteCron", onChoose: () => setOpen("delete") },
        ]}
      />
      {error !== null && <Refusal error={error} className="w-full text-right text-xs" />}
      {backfillsAtMs !== null && (
        <BackfillDialog tenantId={tenantId} cron={cron} openedMs={backfillsAtMs} onClose={() => setBackfillsAtMs(null)} />
      )}
      {open === "edit" && <CronDialog tenantId={tenantId} cron={cron} onClose={close} />}
      {open === "delete" && (
        <Confirmation
          title={`Delete the cron ${name}?`}
          confirm="Delete it"
          act={() => deleteCron(tenantId, id)}
          onDone={refresh}
          onClose={close}
        >
          <p>It does not tick any more.{cron.method === "DEFAULT" && " It comes back when the workflow that declares it is registered again."}</p>
        </Confirmation>
      )}
    </div>
  );
}
