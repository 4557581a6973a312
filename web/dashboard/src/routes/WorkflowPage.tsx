import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { JsonViewer } from "../components/JsonViewer";
import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { PageHeader } from "../components/PageHeader";
import { PausedMark } from "../components/PausedMark";
import { StartDialog } from "../components/StartDialog";
import { LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { Card, CardHeader } from "../components/ui/card";
import { Select } from "../components/ui/field";
import { DefinitionGraph } from "../components/workflow/DefinitionGraph";
import { DeleteControl } from "../components/workflow/DeleteControl";
import { History } from "../components/workflow/History";
import { PauseControl } from "../components/workflow/PauseControl";
import { TaskTable } from "../components/workflow/TaskTable";
import { useLoaded } from "../components/useLoaded";
import { tasksOf } from "../services/definitions";
import { isNotFound } from "../services/http";
import type { WorkflowDetails, WorkflowVersion } from "../services/schemas";
import { workflowQuery, workflowVersionQuery } from "../services/workflows";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/workflows/$id");
const loadDiff = () => import("../components/workflow/VersionDiff");

export function WorkflowPage() {
  const { id } = route.useParams();
  const workflow = useQuery(workflowQuery(id));
  if (workflow.data !== undefined) {
    return (
      <>
        {workflow.error !== null && <StaleBanner error={workflow.error} />}
        <WorkflowView workflow={workflow.data} />
      </>
    );
  }
  if (workflow.error === null) return <Loading label="Loading the workflow…" />;
  if (isNotFound(workflow.error)) {
    return (
      <Notice title="There is no such workflow" action={<Link to="/workflows" className="text-accent underline">Go to the workflows</Link>} />
    );
  }
  return <ErrorNotice error={workflow.error} onRetry={() => void workflow.refetch()} />;
}

function WorkflowView({ workflow }: { workflow: WorkflowDetails }) {
  useTitle(workflow.name);
  const { tenant } = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [starts, setStarts] = useState(false);
  const chosen = search.version ?? null;
  const version = useQuery(workflowVersionQuery(workflow.metadata.id, chosen));
  const id = workflow.metadata.id;
  const Diff = useLoaded(loadDiff, search.against !== undefined)?.VersionDiff;

  function refine(change: Readonly<Partial<Record<"version" | "against", string | undefined>>>): void {
    const next = Object.entries({ ...search, ...change }).filter(([, value]) => value !== undefined);
    void navigate({ search: Object.fromEntries(next), replace: true });
  }

  return (
    <div className="space-y-5">
      <PageHeader
        docs="concepts"
        title={
          <>
            {workflow.name}
            {workflow.isPaused && <PausedMark />}
          </>
        }
      >
        <Button variant="primary" needs="trigger" onClick={() => setStarts(true)}>
          Run
        </Button>
        <PauseControl tenantId={tenant.id} workflow={workflow} />
        <DeleteControl tenantId={tenant.id} workflow={workflow} onDone={() => void navigate({ to: "/workflows" })} />
      </PageHeader>
      {workflow.description !== null && workflow.description !== "" && <p className="text-ink-soft">{workflow.description}</p>}
      <p className="flex flex-wrap gap-x-4 gap-y-1 text-sm">
        <Link to="/runs" search={{ workflow: id }} className="text-accent underline">
          Runs
        </Link>
        <Link to="/crons" search={{ workflow: id }} className="text-accent underline">
          Crons
        </Link>
        <Link to="/scheduled" search={{ workflow: id }} className="text-accent underline">
          Scheduled runs
        </Link>
      </p>
      {workflow.isPaused && <PausedNotice workflow={workflow} />}
      <History tenantId={tenant.id} workflowId={id} />
      <div className="flex flex-wrap gap-x-5 gap-y-2">
        <VersionChoice
          label="Version"
          none="Latest"
          versions={workflow.versions}
          value={chosen}
          onChange={(next) => refine({ version: next })}
        />
        {workflow.versions.length > 1 && (
          <VersionChoice
            label="Compared with"
            none="None"
            versions={workflow.versions}
            value={search.against ?? null}
            onChange={(next) => refine({ against: next })}
          />
        )}
      </div>
      {version.data === undefined ? (
        version.error ? (
          <ErrorNotice error={version.error} onRetry={() => void version.refetch()} />
        ) : (
          <Loading label="Loading the version…" />
        )
      ) : (
        <>
          {search.against !== undefined &&
            (Diff === undefined ? (
              <Loading label="Comparing…" />
            ) : (
              <Diff version={version.data} workflowId={id} otherId={search.against} />
            ))}
          <VersionView version={version.data} />
        </>
      )}
      {starts && <StartDialog tenantId={tenant.id} workflow={{ id, name: workflow.name }} onClose={() => setStarts(false)} />}
    </div>
  );
}

function VersionChoice({
  label,
  none,
  versions,
  value,
  onChange,
}: {
  label: string;
  none: string;
  versions: WorkflowDetails["versions"];
  value: string | null;
  onChange: (id: string | undefined) => void;
}) {
  return (
    <label className="flex items-center gap-2 text-sm">
      {label}
      <Select
        className="w-auto max-w-60"
        value={value ?? ""}
        onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value)}
      >
        <option value="">{none}</option>
        {versions.map((one) => (
          <option key={one.metadata.id} value={one.metadata.id}>
            {one.order} {one.version}
          </option>
        ))}
      </Select>
    </label>
  );
}

function PausedNotice({ workflow }: { workflow: WorkflowDetails }) {
  const fate = (behaviour: string | null) => (behaviour === "DROP" ? "are dropped" : "make runs that wait");
  return (
    <p role="status" className="rounded-md border border-line bg-cancelled-soft px-4 py-2 text-sm">
      It is paused
      {workflow.pausedBy !== null && <> by {workflow.pausedBy}</>}
      {workflow.pausedAt !== null && (
        <>
          {" "}
          since <LocalTime instantMs={workflow.pausedAt} />
        </>
      )}
      : new runs wait until it is resumed, and what runs goes on. Ticks of its crons{" "}
      {fate(workflow.pausedWorkflowCronRunQueueBehavior)}; scheduled runs that come due {fate(workflow.pausedWorkflowScheduledRunQueueBehavior)}.
    </p>
  );
}

function VersionView({ version }: { version: WorkflowVersion }) {
  const crons = version.triggers.crons.map((cron) => typeof cron["cron"] === "string" ? cron["cron"] : JSON.stringify(cron));
  const tasks = tasksOf(version.workflowConfig);
  return (
    <div className="grid items-start gap-5 lg:grid-cols-2 [&>*]:min-w-0">
      {tasks.length > 1 && (
        <div className="lg:col-span-2">
          <DefinitionGraph tasks={tasks} />
        </div>
      )}
      {tasks.length > 0 && (
        <div className="lg:col-span-2">
          <TaskTable tasks={tasks} />
        </div>
      )}
      <Card aria-label="Settings">
        <CardHeader title="Settings" />
        <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-2 px-4 py-3 text-sm [&_dt]:text-ink-soft">
          <dt>Registered</dt>
          <dd>
            <LocalTime instantMs={version.metadata.createdAt} />
          </dd>
          <dt>Started by events</dt>
          <dd>{version.triggers.events.length === 0 ? "none" : version.triggers.events.map((event) => event.event_key).join(", ")}</dd>
          <dt>Crons of its code</dt>
          <dd>{crons.length === 0 ? "none" : crons.join(", ")}</dd>
          <dt>Priority</dt>
          <dd>{version.defaultPriority}</dd>
          <dt>Waits for a worker</dt>
          <dd>at most {version.scheduleTimeout}</dd>
          <dt>Sticky</dt>
          <dd>{version.sticky ?? "no"}</dd>
          <dt>Concurrency</dt>
          <dd>
            {version.v1Concurrency.length === 0
              ? "no limits"
              : version.v1Concurrency.map((rule) => (
                  <span key={`${rule.scope}${rule.stepReadableId ?? ""}${rule.expression}`} className="block">
                    {rule.maxRuns} at a time for each <code className="font-mono text-xs">{rule.expression}</code>
                    {rule.stepReadableId !== null && ` of ${rule.stepReadableId}`} ({rule.limitStrategy.toLowerCase().replaceAll("_", " ")})
                  </span>
                ))}
          </dd>
        </dl>
      </Card>
      <Card>
        <CardHeader title="Input schema" />
        <JsonViewer label="Input schema" value={version.inputJsonSchema ?? {}} empty="This version declares no schema for its input." />
      </Card>
      <Card className="lg:col-span-2">
        <CardHeader title="Definition" />
        <JsonViewer label="Definition" value={version.workflowConfig} empty="There is nothing more to say of it." />
      </Card>
    </div>
  );
}
