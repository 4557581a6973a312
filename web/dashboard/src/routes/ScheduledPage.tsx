import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { FormDialog } from "../components/FormDialog";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { StartWorkflowButton } from "../components/StartWorkflowButton";
import { LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { Field, Input } from "../components/ui/field";
import { deleteSchedule, moveSchedule, runSchedule, schedulesQuery, type Schedule } from "../services/triggers";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/scheduled");

export function ScheduledPage() {
  useTitle("Scheduled runs");
  const { tenant } = useSession();
  const { workflow } = route.useSearch();
  const schedules = useInfiniteQuery(schedulesQuery(tenant.id, workflow ?? null));
  return (
    <>
      <PageHeader title="Scheduled runs" docs="triggers#scheduled-runs">
        <StartWorkflowButton label="Schedule a run" when="at" />
      </PageHeader>
      <PagedTable
        label="Scheduled runs"
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
      <Button size="small" aria-label={`Run now: ${schedule.workflowName}`} disabled={run.isPending} onClick={() => run.mutate()}>
        Run now
      </Button>
      <Button size="small" aria-label={`Move ${schedule.workflowName}`} onClick={() => setMoves(true)}>
        Move
      </Button>
      <ConfirmButton
        label="Delete"
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
      {run.error !== null && (
        <span role="alert" className="w-full text-right text-xs text-failed">
          {run.error.message}
        </span>
      )}
      {moves && <MoveDialog tenantId={tenantId} schedule={schedule} onClose={() => setMoves(false)} />}
    </div>
  );
}

function MoveDialog({ tenantId, schedule, onClose }: { tenantId: string; schedule: Schedule; onClose: () => void }) {
  const [at, setAt] = useState("");
  const atMs = Date.parse(at);
  return (
    <FormDialog
      title={`Move the run of ${schedule.workflowName}`}
      onClose={onClose}
      problems={{ triggerAt: Number.isNaN(atMs) ? "Say when." : null }}
      act={() => moveSchedule(tenantId, schedule.metadata.id, atMs)}
      submit="Move it"
      submitting="Moving…"
      touches={["schedules"]}
    >
      {(problemAt) => (
        <Field label="New time" hint="In your time zone." error={problemAt("triggerAt")}>
          {(props) => <Input {...props} type="datetime-local" value={at} onChange={(event) => setAt(event.target.value)} />}
        </Field>
      )}
    </FormDialog>
  );
}
