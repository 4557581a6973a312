import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { ChosenBar } from "../components/ChosenBar";
import { ConfirmButton } from "../components/ConfirmButton";
import { FormDialog } from "../components/FormDialog";
import { useMay } from "../components/may";
import { Notice, Refusal } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { StartWorkflowButton } from "../components/StartWorkflowButton";
import { LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { Field, Input } from "../components/ui/field";
import {
  deleteSchedule,
  deleteSchedules,
  moveSchedule,
  moveSchedules,
  runSchedule,
  schedulesQuery,
  type Schedule,
} from "../services/triggers";
import { formatLocal } from "../time/format";
import { instantOf, useZone, wallTimeOf, zoneName } from "../time/zone";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/scheduled");

export function ScheduledPage() {
  useTitle("Scheduled runs");
  const { tenant } = useSession();
  const may = useMay();
  const { workflow } = route.useSearch();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const schedules = useInfiniteQuery(schedulesQuery(tenant.id, workflow ?? null));
  return (
    <>
      <PageHeader title="Scheduled runs" docs="triggers#scheduled-runs">
        <StartWorkflowButton label="Schedule a run" when="at" />
      </PageHeader>
      <ChosenBar chosen={chosen} onChoose={setChosen}>
        <BulkActs tenantId={tenant.id} chosen={chosen} onDone={() => setChosen(new Set())} />
      </ChosenBar>
      <PagedTable
        label="Scheduled runs"
        {...(may("changeSchedules") && {
          choosing: { chosen, onChoose: setChosen, nameOf: (schedule: Schedule) => `the run of ${schedule.workflowName} at ${formatLocal(schedule.triggerAt)}` },
        })}
        query={schedules}
        keyOf={(schedule) => schedule.metadata.id}
        empty={
          <Notice title="Nothing is scheduled">
            <p>A run that is planned for later waits here until its time comes.</p>
          </Notice>
        }
        columns={[
          { title: "Time", cell: (schedule) => <LocalTime instantMs={schedule.triggerAt} /> },
          {
            title: "Workflow",
            cell: (schedule) => (
              <Link to="/workflows/$id" params={{ id: schedule.workflowId }} className="text-accent underline">
                {schedule.workflowName}
              </Link>
            ),
          },
          { title: "Input", cell: (schedule) => <code className="line-clamp-2 font-mono text-xs break-all">{JSON.stringify(schedule.input)}</code> },
          { title: "Actions", isUntitled: true, cell: (schedule) => <ScheduleActions tenantId={tenant.id} schedule={schedule} /> },
        ]}
      />
    </>
  );
}

function BulkActs({ tenantId, chosen, onDone }: { tenantId: string; chosen: ReadonlySet<string>; onDone: () => void }) {
  const client = useQueryClient();
  const [moves, setMoves] = useState(false);
  const ids = [...chosen];
  return (
    <>
      <Button size="small" needs="changeSchedules" onClick={() => setMoves(true)}>
        Move…
      </Button>
      <ConfirmButton
        label="Delete…"
        needs="deleteSchedules"
        accessibleName="Delete the chosen runs"
        title={ids.length === 1 ? "Delete 1 scheduled run?" : `Delete ${ids.length} scheduled runs?`}
        confirm={`Delete ${ids.length}`}
        act={() => deleteSchedules(tenantId, ids)}
        onDone={() => {
          onDone();
          void client.invalidateQueries({ queryKey: ["schedules"] });
        }}
      >
        <p>They will not run. Those whose time has come meanwhile run.</p>
      </ConfirmButton>
      {moves && (
        <MoveDialog
          title={`Move ${ids.length} scheduled runs`}
          act={(atMs) => moveSchedules(tenantId, ids, atMs)}
          onDone={onDone}
          onClose={() => setMoves(false)}
        />
      )}
    </>
  );
}

function ScheduleActions({ tenantId, schedule }: { tenantId: string; schedule: Schedule }) {
  const client = useQueryClient();
  const navigate = route.useNavigate();
  const [moves, setMoves] = useState(false);
  const id = schedule.metadata.id;
  const refresh = () => void client.invalidateQueries({ queryKey: ["schedules"] });
  const run = useMutation({
    mutationFn: () => runSchedule(tenantId, id),
    onSuccess: (runId) => navigate({ to: "/runs/$id", params: { id: runId } }),
  });
  return (
    <div className="flex flex-wrap justify-end gap-1.5">
      <Button size="small" needs="runSchedule" aria-label={`Run now: ${schedule.workflowName}`} disabled={run.isPending} onClick={() => run.mutate()}>
        Run now
      </Button>
      <Button size="small" needs="changeSchedule" aria-label={`Move ${schedule.workflowName}`} onClick={() => setMoves(true)}>
        Move
      </Button>
      <ConfirmButton
        label="Delete"
        needs="deleteSchedule"
        accessibleName={`Delete the scheduled run of ${schedule.workflowName}`}
        title="Delete this scheduled run?"
        confirm="Delete it"
        act={() => deleteSchedule(tenantId, id)}
        onDone={refresh}
      >
        <p>
          {schedule.workflowName} will not run at <LocalTime instantMs={schedule.triggerAt} />.
        </p>
      </ConfirmButton>
      {run.error !== null && <Refusal error={run.error} className="w-full text-right text-xs" />}
      {moves && (
        <MoveDialog
          title={`Move the run of ${schedule.workflowName}`}
          firstMs={schedule.triggerAt}
          act={(atMs) => moveSchedule(tenantId, id, atMs)}
          onClose={() => setMoves(false)}
        />
      )}
    </div>
  );
}

function MoveDialog({
  title,
  firstMs,
  act,
  onDone,
  onClose,
}: {
  title: string;
  /** The instant that is proposed. */
  firstMs?: number;
  act: (atMs: number) => Promise<unknown>;
  onDone?: () => void;
  onClose: () => void;
}) {
  const zone = useZone();
  const [at, setAt] = useState(() => (firstMs === undefined ? "" : wallTimeOf(firstMs, zone)));
  const atMs = instantOf(at, zone);
  return (
    <FormDialog
      title={title}
      onClose={onClose}
      problems={{ triggerAt: Number.isNaN(atMs) ? "Say when." : null }}
      act={() => act(atMs)}
      submit="Move it"
      submitting="Moving…"
      touches={["schedules"]}
      onDone={() => {
        onDone?.();
        onClose();
      }}
    >
      {(problemAt) => (
        <Field label="New time" hint={`A time in ${zoneName(zone)}.`} error={problemAt("triggerAt")}>
          {(props) => <Input {...props} type="datetime-local" value={at} onChange={(event) => setAt(event.target.value)} />}
        </Field>
      )}
    </FormDialog>
  );
}
