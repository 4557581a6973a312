import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { FormDialog } from "../components/FormDialog";
import { JsonViewer } from "../components/JsonViewer";
import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { PageHeader } from "../components/PageHeader";
import { PausedMark } from "../components/PausedMark";
import { StartDialog } from "../components/StartDialog";
import { LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { Card, CardHeader } from "../components/ui/card";
import { Field, Input, Select } from "../components/ui/field";
import { isNotFound } from "../services/http";
import type { WorkflowDetails, WorkflowVersion } from "../services/schemas";
import { deleteWorkflow, pauseWorkflow, unpauseWorkflow, workflowQuery, workflowVersionQuery } from "../services/workflows";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/workflows/$id");

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
        <Button variant="primary" onClick={() => setStarts(true)}>
          Run
        </Button>
        <PauseControl workflow={workflow} />
        <DeleteControl workflow={workflow} />
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
      <label className="flex items-center gap-2 text-sm">
        Version
        <Select
          className="w-auto"
          value={chosen ?? ""}
          onChange={(event) => void navigate({ search: event.target.value === "" ? {} : { version: event.target.value }, replace: true })}
        >
          <option value="">Latest</option>
          {workflow.versions.map((one) => (
            <option key={one.metadata.id} value={one.metadata.id}>
              {one.order} {one.version}
            </option>
          ))}
        </Select>
      </label>
      {version.data === undefined ? (
        version.error ? (
          <ErrorNotice error={version.error} onRetry={() => void version.refetch()} />
        ) : (
          <Loading label="Loading the version…" />
        )
      ) : (
        <VersionView version={version.data} />
      )}
      {starts && <StartDialog tenantId={tenant.id} workflow={{ id, name: workflow.name }} onClose={() => setStarts(false)} />}
    </div>
  );
}

function VersionView({ version }: { version: WorkflowVersion }) {
  const crons = version.triggers.crons.map((cron) => typeof cron["cron"] === "string" ? cron["cron"] : JSON.stringify(cron));
  return (
    <div className="grid items-start gap-5 lg:grid-cols-2">
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

function PauseControl({ workflow }: { workflow: WorkflowDetails }) {
  const client = useQueryClient();
  const [asks, setAsks] = useState(false);
  const [crons, setCrons] = useState<"DROP" | "QUEUE">("DROP");
  const [schedules, setSchedules] = useState<"DROP" | "QUEUE">("QUEUE");
  const [ttl, setTtl] = useState("24h");
  const id = workflow.metadata.id;
  const refresh = () => void client.invalidateQueries({ queryKey: ["workflows"] });
  const going = useMutation({ mutationFn: () => unpauseWorkflow(id), onSettled: refresh });

  if (workflow.isPaused) {
    return (
      <>
        <Button disabled={going.isPending} onClick={() => going.mutate()}>
          {going.isPending ? "Resuming…" : "Resume"}
        </Button>
        {going.error !== null && (
          <span role="alert" className="text-sm text-failed">
            {going.error.message}
          </span>
        )}
      </>
    );
  }
  return (
    <>
      <Button onClick={() => setAsks(true)}>Pause</Button>
      {asks && (
        <FormDialog
          title={`Pause ${workflow.name}`}
          onClose={() => setAsks(false)}
          problems={{ "pause.pausedWorkflowQueueTTL": ttl.trim() === "" ? "Say how long, for example 24h." : null }}
          act={() => pauseWorkflow(id, { crons, schedules, ttl })}
          submit="Pause it"
          submitting="Pausing…"
          touches={["workflows"]}
        >
          {(problemAt) => (
            <>
              <p className="mb-3 text-sm">New runs are made and wait; what is running goes on.</p>
              <Field label="A cron's tick meanwhile">
                {(props) => <Behaviour {...props} value={crons} onChange={setCrons} />}
              </Field>
              <Field label="A scheduled run that comes due meanwhile">
                {(props) => <Behaviour {...props} value={schedules} onChange={setSchedules} />}
              </Field>
              <Field
                label="Waiting runs are cancelled after"
                hint="A duration such as 90s, 24h or 7d."
                error={problemAt("pause.pausedWorkflowQueueTTL")}
              >
                {(props) => <Input {...props} value={ttl} onChange={(event) => setTtl(event.target.value)} />}
              </Field>
            </>
          )}
        </FormDialog>
      )}
    </>
  );
}

function Behaviour({
  value,
  onChange,
  ...props
}: {
  id: string;
  value: "DROP" | "QUEUE";
  onChange: (value: "DROP" | "QUEUE") => void;
}) {
  return (
    <Select {...props} value={value} onChange={(event) => onChange(event.target.value === "DROP" ? "DROP" : "QUEUE")}>
      <option value="DROP">is dropped</option>
      <option value="QUEUE">waits</option>
    </Select>
  );
}

function DeleteControl({ workflow }: { workflow: WorkflowDetails }) {
  const client = useQueryClient();
  const navigate = route.useNavigate();
  return (
    <ConfirmButton
      label="Delete"
      size="regular"
      title={`Delete ${workflow.name}?`}
      confirm="Delete it"
      act={() => deleteWorkflow(workflow.metadata.id)}
      onDone={() => {
        void client.invalidateQueries({ queryKey: ["workflows"] });
        void navigate({ to: "/workflows" });
      }}
    >
      <p>Its name is forgotten and nothing starts it any more. Live runs go on, and history stays.</p>
      <p>A worker that registers it again brings it back.</p>
    </ConfirmButton>
  );
}
