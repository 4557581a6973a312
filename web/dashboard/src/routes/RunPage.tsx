import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, Navigate } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { CopyButton } from "../components/CopyButton";
import { errorSummary } from "../components/errorSummary";
import { EventTimeline } from "../components/EventTimeline";
import { JsonViewer } from "../components/JsonViewer";
import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { STATUS_LOOKS } from "../components/status";
import { StatusPill } from "../components/StatusPill";
import { StartDialog } from "../components/StartDialog";
import { StepCard } from "../components/StepCard";
import { TaskPanel } from "../components/TaskPanel";
import { LocalTime, Took } from "../components/Times";
import { Button } from "../components/ui/button";
import { Card, CardHeader } from "../components/ui/card";
import { cn } from "../components/ui/classes";
import { Tabs } from "../components/ui/tabs";
import { Waterfall } from "../components/Waterfall";
import { stepOfInterest, stepsOf } from "../graph/steps";
import { cancelRuns, isTerminal, replayRuns, runQuery } from "../services/runs";
import type { RunDetails } from "../services/schemas";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const RunGraph = lazy(() => import("../components/RunGraph"));

const route = getRouteApi("/session/runs/$id");

export function RunPage() {
  const { id } = route.useParams();
  const lookup = useQuery(runQuery(id));

  if (lookup.data === undefined) {
    return lookup.error ? <ErrorNotice error={lookup.error} onRetry={() => void lookup.refetch()} /> : <Loading label="Loading the run…" />;
  }
  switch (lookup.data.kind) {
    case "missing":
      return <MissingRun id={id} />;
    case "task-of":
      return <Navigate to="/runs/$id" params={{ id: lookup.data.runId }} search={{ task: lookup.data.taskId }} replace />;
    case "run":
      return (
        <>
          {lookup.error !== null && <StaleBanner error={lookup.error} />}
          <RunView key={lookup.data.details.run.metadata.id} details={lookup.data.details} />
        </>
      );
  }
}

function MissingRun({ id }: { id: string }) {
  useTitle("No such run");
  return (
    <Notice
      level="h1"
      title="There is no such run"
      action={
        <Link to="/runs" className="text-accent underline">
          Go to the runs
        </Link>
      }
    >
      <p>
        Neither a run nor a task has the id <code className="font-mono text-sm break-all">{id}</code>. It may belong to another
        tenant, or be older than the history that is kept.
      </p>
    </Notice>
  );
}

function RunView({ details }: { details: RunDetails }) {
  useTitle(details.run.displayName);
  const search = route.useSearch();
  const navigate = route.useNavigate();

  const steps = stepsOf(details);
  const asked = steps.find((step) => step.task !== null && step.task.taskExternalId === search.task);
  const chosen = asked ?? stepOfInterest(steps);
  const nameOf = new Map(steps.flatMap((step) => (step.task === null ? [] : [[step.task.taskExternalId, step.name]])));

  function choose(stepId: string): void {
    const task = steps.find((step) => step.id === stepId)?.task;
    if (task) void navigate({ search: { task: task.taskExternalId }, replace: true, resetScroll: false });
  }

  const onlyStep = steps.length === 1 ? steps[0] : undefined;
  return (
    <div className="space-y-5">
      <RunHeader details={details} />
      <Card aria-label="Graph" className="overflow-hidden bg-sunken">
        {onlyStep !== undefined ? (
          <div className="flex justify-center p-6">
            <StepCard step={onlyStep} chosen={false} onChoose={choose} className="h-15 w-56" />
          </div>
        ) : (
          <Suspense fallback={<Loading label="Drawing the graph…" />}>
            <RunGraph steps={steps} chosenId={chosen?.id ?? null} onChoose={choose} />
          </Suspense>
        )}
      </Card>
      <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-5 lg:grid-cols-[repeat(2,minmax(0,1fr))]">
        {/* Two columns on wide screens; on narrow ones the chosen task comes right after the list it is chosen from. */}
        <div className="contents lg:block lg:space-y-5">
          <Card aria-label="Tasks">
            <CardHeader title={onlyStep === undefined ? `Tasks (${steps.length})` : "Task"} />
            <Waterfall steps={steps} events={details.taskEvents} chosenId={chosen?.id ?? null} onChoose={choose} />
          </Card>
          <div className="order-last min-w-0">
            <RunData details={details} nameOf={(taskId) => nameOf.get(taskId) ?? "a task"} />
          </div>
        </div>
        {chosen?.task && (
          <TaskPanel key={chosen.id} step={chosen} task={chosen.task} events={details.taskEvents} />
        )}
      </div>
    </div>
  );
}

function RunHeader({ details }: { details: RunDetails }) {
  const { run, tasks } = details;
  const live = !isTerminal(run.status);
  return (
    <header className="flex flex-wrap items-start justify-between gap-4 md:flex-nowrap">
      <div className="min-w-0 flex-1 basis-80">
        <nav aria-label="Breadcrumb" className="text-sm text-ink-soft">
          <Link to="/runs" className="hover:text-ink hover:underline">
            Runs
          </Link>
        </nav>
        <div className="mt-1 flex flex-wrap items-center gap-3">
          <h1 data-testid="run-heading" className="text-xl font-semibold break-all">
            {run.displayName}
          </h1>
          <div aria-live="polite">
            <StatusPill status={run.status} />
          </div>
        </div>
        <dl className="mt-2 flex flex-wrap gap-x-6 gap-y-1 text-sm text-ink-soft [&_dd]:text-ink [&>div]:flex [&>div]:gap-1.5">
          {run.createdAt !== null && (
            <div>
              <dt>Created</dt>
              <dd>
                <LocalTime instantMs={run.createdAt} />
              </dd>
            </div>
          )}
          {run.startedAt !== null && (
            <div>
              <dt>Started</dt>
              <dd>
                <LocalTime instantMs={run.startedAt} />
              </dd>
            </div>
          )}
          {run.finishedAt !== null && (
            <div>
              <dt>Finished</dt>
              <dd>
                <LocalTime instantMs={run.finishedAt} />
              </dd>
            </div>
          )}
          <div>
            <dt>Duration</dt>
            <dd>
              <Took span={run} live={live} />
            </dd>
          </div>
          <div>
            <dt>Workflow</dt>
            <dd>
              <Link to="/workflows/$id" params={{ id: run.workflowId }} className="text-accent underline">
                {tasks.find((task) => task.workflowName !== null)?.workflowName ?? "its definition"}
              </Link>
            </dd>
          </div>
          {run.parentTaskExternalId !== null && (
            <div>
              <dt>Started by</dt>
              <dd>
                <Link to="/runs/$id" params={{ id: run.parentTaskExternalId }} className="text-accent underline">
                  its parent
                </Link>
              </dd>
            </div>
          )}
          <div className="items-center">
            <dt>Id</dt>
            <dd className="flex items-center gap-2">
              <code className="font-mono text-xs break-all">{run.metadata.id}</code>
              <CopyButton label="run id" text={run.metadata.id} />
            </dd>
          </div>
        </dl>
      </div>
      <RunActions details={details} live={live} />
    </header>
  );
}

function RunActions({ details, live }: { details: RunDetails; live: boolean }) {
  const { tenant } = useSession();
  const client = useQueryClient();
  const [again, setAgain] = useState(false);
  const runId = details.run.metadata.id;
  const refresh = { onSettled: () => client.invalidateQueries({ queryKey: ["runs"] }) };
  const replay = useMutation({ mutationFn: () => replayRuns(tenant.id, [runId]), ...refresh });
  const workflowName = details.tasks.find((task) => task.workflowName !== null)?.workflowName ?? null;

  return (
    <div className="flex flex-col items-end gap-1 md:pt-6">
      <div className="flex gap-2">
        <ConfirmButton
          label="Cancel"
          size="regular"
          disabled={!live}
          title="Cancel this run?"
          confirm="Cancel it"
          act={() => cancelRuns(tenant.id, [runId])}
          onDone={() => void refresh.onSettled()}
        >
          <p>What waits does not start, and workers are told to stop what runs.</p>
        </ConfirmButton>
        <Button disabled={live || replay.isPending} onClick={() => replay.mutate()}>
          {replay.isPending ? "Replaying…" : "Replay"}
        </Button>
        {workflowName !== null && <Button onClick={() => setAgain(true)}>Run again…</Button>}
      </div>
      {replay.error !== null && (
        <p role="alert" className="max-w-72 text-right text-sm text-failed">
          {replay.error.message}
        </p>
      )}
      {again && workflowName !== null && (
        <StartDialog
          tenantId={tenant.id}
          workflow={{ id: details.run.workflowId, name: workflowName }}
          input={details.run.input}
          metadata={Object.fromEntries(Object.entries(details.run.additionalMetadata).filter(([key]) => !key.startsWith("hatchet__")))}
          onClose={() => setAgain(false)}
        />
      )}
    </div>
  );
}

type RunTab = "input" | "output" | "metadata" | "events";

function RunData({ details, nameOf }: { details: RunDetails; nameOf: (taskId: string) => string }) {
  const [tab, setTab] = useState<RunTab>("input");
  const { run } = details;
  const hidden = "You are not allowed to see the payloads of this tenant.";
  return (
    <Card aria-label="Run data">
      <CardHeader title="Run" />
      {run.errorMessage !== null && run.errorMessage !== "" && (
        <p
          title={run.errorMessage}
          className={cn(
            "line-clamp-4 border-b border-line px-4 py-2 font-mono text-xs break-words",
            // Of a cancelled run this is the reason, which is no error.
            run.status === "CANCELLED" ? STATUS_LOOKS.CANCELLED.pill : STATUS_LOOKS.FAILED.pill,
          )}
        >
          {errorSummary(run.errorMessage)}
        </p>
      )}
      <Tabs
        label="Run data"
        tabs={[
          { id: "input", label: "Input" },
          { id: "output", label: "Output" },
          { id: "metadata", label: "Metadata", badge: Object.keys(run.additionalMetadata).length },
          { id: "events", label: "Events", badge: details.taskEvents.length },
        ]}
        chosen={tab}
        onChoose={setTab}
      >
        {tab === "input" && (
          <JsonViewer label="Run input" value={run.input} empty={run.payloadsRestricted ? hidden : "This run was given no input."} />
        )}
        {tab === "output" && (
          <JsonViewer
            label="Run output"
            value={run.output}
            empty={run.payloadsRestricted ? hidden : isTerminal(run.status) ? "This run has no output." : "Nothing yet."}
          />
        )}
        {tab === "metadata" && (
          <JsonViewer label="Run metadata" value={run.additionalMetadata} empty="This run carries no metadata." />
        )}
        {tab === "events" && <EventTimeline events={details.taskEvents} nameOf={nameOf} />}
      </Tabs>
    </Card>
  );
}
