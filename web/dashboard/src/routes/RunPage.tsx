/** One run: what it is, its graph, its tasks in time, one of them in detail, and what it was given and gave. */
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, Navigate } from "@tanstack/react-router";
import { useMemo } from "react";

import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { CrashStrip } from "../components/run/CrashStrip";
import { RunActs } from "../components/run/RunActs";
import { RunData } from "../components/run/RunData";
import { RunFacts } from "../components/run/RunFacts";
import { RunHeader } from "../components/run/RunHeader";
import { StepList } from "../components/run/StepList";
import { StepCard } from "../components/StepCard";
import { TaskPanel } from "../components/TaskPanel";
import { Timeline } from "../components/Timeline";
import { Card } from "../components/ui/card";
import { useIsNarrow } from "../components/useIsNarrow";
import { useLoaded } from "../components/useLoaded";
import { stepOfInterest, stepsOf, type Step } from "../graph/steps";
import { factsQuery } from "../services/runFacts";
import { runQuery } from "../services/runs";
import type { RunDetails } from "../services/schemas";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/runs/$id");

export function RunPage() {
  const { id } = route.useParams();
  const lookup = useQuery(runQuery(id));

  if (lookup.data === undefined) {
    return (
      <>
        <h1 className="sr-only">Run</h1>
        {lookup.error ? <ErrorNotice error={lookup.error} onRetry={() => void lookup.refetch()} /> : <Loading label="Loading the run…" />}
      </>
    );
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
  const session = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const tenantId = session.tenant.id;
  const facts = useQuery(factsQuery(tenantId, details.run.metadata.id)).data ?? null;

  const steps = useMemo(() => stepsOf(details), [details]);
  const asked = steps.find((step) => step.task !== null && step.task.taskExternalId === search.task);
  const chosen = asked ?? stepOfInterest(steps);
  const nameOf = useMemo(() => {
    const names = new Map(steps.flatMap((step) => (step.task === null ? [] : [[step.task.taskExternalId, step.name]])));
    return (taskId: string) => names.get(taskId) ?? "a task";
  }, [steps]);
  const isDurable = (taskId: string) => {
    const stepId = details.tasks.find((task) => task.taskExternalId === taskId)?.stepId;
    return details.workflowConfig?.tasks.some((defined) => defined.id === stepId && defined.is_durable) ?? false;
  };

  function look(changes: Partial<typeof search>): void {
    void navigate({ search: { ...search, ...changes }, replace: true, resetScroll: false });
  }

  function choose(stepId: string): void {
    const task = steps.find((step) => step.id === stepId)?.task;
    if (!task) return;
    look({ task: task.taskExternalId, tab: undefined });
    // On a narrow screen, and far down a long list, what was chosen would be out of sight.
    document.querySelector("[data-testid=task-panel]")?.scrollIntoView({ block: "nearest" });
  }

  return (
    <div className="space-y-5">
      <RunHeader details={details}>
        <RunActs session={session} details={details} facts={facts} steps={steps} chosen={chosen} />
      </RunHeader>
      <CrashStrip
        details={details}
        nameOf={nameOf}
        workerOf={(workerId) => facts?.workers.find((worker) => worker.id === workerId)?.name ?? "a worker that is gone"}
        isDurable={isDurable}
      />
      <Card aria-label="Graph" className="overflow-hidden bg-sunken">
        <Graph steps={steps} chosenId={chosen?.id ?? null} onChoose={choose} />
      </Card>
      <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-5 lg:grid-cols-[repeat(2,minmax(0,1fr))]">
        {/* Two columns on wide screens; on narrow ones the chosen task comes right after the list it is chosen from. */}
        <div className="contents lg:block lg:space-y-5">
          <Card aria-label="Tasks">
            <Timeline
              tenantId={tenantId}
              details={details}
              steps={steps}
              chosenId={chosen?.id ?? null}
              onChoose={choose}
              round={search.round ?? null}
              onRound={(round) => look({ round: round ?? undefined })}
            />
          </Card>
          <div className="order-last min-w-0 space-y-5">
            <RunData
              tenantId={tenantId}
              details={details}
              nameOf={nameOf}
              hasEngine={session.file === null}
              tab={search.data ?? null}
              onTab={(data) => look({ data })}
            />
            <RunFacts tenantId={tenantId} details={details} task={chosen?.task ?? null} />
          </div>
        </div>
        {chosen?.task && (
          <TaskPanel
            key={chosen.id}
            tenantId={tenantId}
            step={chosen}
            steps={steps}
            task={chosen.task}
            events={details.taskEvents}
            isDurable={isDurable(chosen.task.taskExternalId)}
            hasEngine={session.file === null}
            tab={search.tab ?? null}
            onTab={(tab) => look({ tab })}
          />
        )}
      </div>
    </div>
  );
}

/** As a drawing where there is room for one; a single step is one card, and a phone gets a list. */
function Graph(props: { steps: readonly Step[]; chosenId: string | null; onChoose: (stepId: string) => void }) {
  const isNarrow = useIsNarrow();
  const [only, second] = props.steps;
  const isDrawn = second !== undefined && !isNarrow;
  const drawing = useLoaded(() => import("../components/RunGraph"), isDrawn);
  if (only === undefined) return <p className="p-6 text-sm text-ink-soft">The definition of this run is gone, so its steps are not known.</p>;
  if (second === undefined) {
    return (
      <div className="flex justify-center p-6">
        <StepCard step={only} chosen={false} onChoose={props.onChoose} className="h-15 w-56" />
      </div>
    );
  }
  if (!isDrawn) return <StepList {...props} />;
  return drawing === null ? <Loading label="Drawing the graph…" /> : <drawing.default {...props} />;
}
