/** Where a run comes from and what holds for it: what triggered it, its family, version, keys, limits, timeouts, workers. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { SCHEDULE_ID_KEY } from "../../search/grammar";
import { rowsIn } from "../../services/pages";
import { childrenQuery, factsQuery, type RunFacts as Facts } from "../../services/runFacts";
import type { DefinedTask, RunDetails, TaskSummary } from "../../services/schemas";
import { formatDuration } from "../../time/format";
import { CopyButton } from "../CopyButton";
import { StatusPill } from "../StatusPill";
import { LocalTime, Took } from "../Times";
import { isTerminal } from "../../services/runs";
import { Button } from "../ui/button";
import { Card, CardHeader } from "../ui/card";

const LINK = "text-accent underline";
const PRIORITIES: Readonly<Record<number, string>> = { 1: "low", 2: "medium", 3: "high" };

export function RunFacts({ tenantId, details, task }: { tenantId: string; details: RunDetails; task: TaskSummary | null }) {
  const facts = useQuery(factsQuery(tenantId, details.run.metadata.id));
  const defined = details.workflowConfig?.tasks.find((item) => item.id === task?.stepId) ?? null;
  const families = details.tasks.filter((item) => item.numSpawnedChildren > 0);
  return (
    <Card aria-label="About this run">
      <CardHeader title="About this run" />
      {facts.error !== null && (
        <p role="alert" className="px-4 py-3 text-sm text-failed">
          Where it comes from could not be loaded: {facts.error.message}
        </p>
      )}
      <dl className="grid grid-cols-[minmax(6rem,auto)_minmax(0,1fr)] gap-x-4 gap-y-1.5 px-4 py-3 text-sm [&_dt]:text-ink-soft [&_dd]:min-w-0 [&_dd]:break-words">
        {facts.data !== undefined && <FactRows facts={facts.data} details={details} />}
        {defined !== null && task !== null && <TaskRows defined={defined} />}
      </dl>
      {families.map((parent) => (
        <Children key={parent.taskExternalId} tenantId={tenantId} parent={parent} isOnly={families.length === 1} />
      ))}
    </Card>
  );
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function FactRows({ facts, details }: { facts: Facts; details: RunDetails }) {
  const { run } = details;
  return (
    <>
      <Row name="Triggered by">
        <Origin facts={facts} />
      </Row>
      <Row name="Version">
        <Link
          to="/workflows/$id"
          params={{ id: run.workflowId }}
          search={run.workflowVersionId === null ? {} : { version: run.workflowVersionId }}
          className={LINK}
        >
          {facts.version ?? `number ${facts.versionOrder}`}
        </Link>
        {!facts.isLatestVersion && " (there is a newer one)"}
      </Row>
      <Row name="Priority">{PRIORITIES[facts.priority] ?? facts.priority}</Row>
      {facts.workers.length > 0 && (
        <Row name={facts.workers.length === 1 ? "Worker" : "Workers"}>
          {facts.workers.map((worker, index) => (
            <span key={worker.id}>
              {index > 0 && ", "}
              <Link to="/workers/$id" params={{ id: worker.id }} className={LINK}>
                {worker.name}
              </Link>
            </span>
          ))}
        </Row>
      )}
      {facts.desiredWorkerId !== null && (
        <Row name="Asked for worker">
          <Link to="/workers/$id" params={{ id: facts.desiredWorkerId }} className={LINK}>
            {facts.workers.find((worker) => worker.id === facts.desiredWorkerId)?.name ?? facts.desiredWorkerId}
          </Link>
        </Row>
      )}
      {facts.desiredLabels !== null && facts.desiredLabels.length > 0 && <Row name="Asked for labels">{labelsText(facts.desiredLabels)}</Row>}
      {facts.idempotencyKey !== null && (
        <Row name="Idempotency key">
          <code className="font-mono text-xs">{facts.idempotencyKey}</code> <CopyButton label="idempotency key" text={facts.idempotencyKey} />
        </Row>
      )}
      {facts.concurrency.map((held, index) => (
        <Row key={index} name={held.task === null || details.shape.length < 2 ? "Counted as" : `${held.task} counted as`}>
          <code className="font-mono text-xs">{held.key}</code>, {held.maxRuns} at a time
          {held.expression !== null && (
            <span className="text-ink-soft">
              {" "}
              (<code className="font-mono text-xs">{held.expression}</code>)
            </span>
          )}
        </Row>
      ))}
      {facts.rateLimits.map((limit, index) => (
        <Row key={index} name="Takes of a limit">
          {limit.units} of <code className="font-mono text-xs">{limit.key}</code>
          {details.shape.length > 1 && ` (${limit.task})`}
        </Row>
      ))}
    </>
  );
}

function Origin({ facts: { origin } }: { facts: Facts }) {
  switch (origin.kind) {
    case "PARENT":
      return (
        <>
          task {origin.parentTaskName ?? "that is gone"} of{" "}
          {origin.parentRunId === null ? (
            (origin.parentName ?? "a run that is gone")
          ) : (
            <Link to="/runs/$id" params={{ id: origin.parentRunId }} search={origin.parentTaskId === null ? {} : { task: origin.parentTaskId }} className={LINK}>
              {origin.parentName ?? "its parent"}
            </Link>
          )}
          {origin.childIndex !== null && ` (child ${origin.childIndex + 1}${origin.childKey === null || origin.childKey === "" ? "" : `, key ${origin.childKey}`})`}
        </>
      );
    case "WEBHOOK":
    case "EVENT":
      return (
        <>
          event{" "}
          <Link to="/events" search={origin.eventKey === null ? {} : { key: origin.eventKey }} className={LINK}>
            {origin.eventKey ?? origin.eventId ?? "that is gone"}
          </Link>
          {origin.webhookName !== null && (
            <>
              {" "}
              of webhook{" "}
              <Link to="/webhooks" className={LINK}>
                {origin.webhookName}
              </Link>
            </>
          )}
        </>
      );
    case "CRON":
      return (
        <>
          cron{" "}
          <Link to="/crons" className={LINK}>
            {origin.cronName ?? origin.cronExpression ?? "that has no name"}
          </Link>
          {origin.cronName !== null && origin.cronExpression !== null && (
            <span className="text-ink-soft">
              {" "}
              (<code className="font-mono text-xs">{origin.cronExpression}</code>)
            </span>
          )}
          {origin.cronScheduledAt !== null && !Number.isNaN(Date.parse(origin.cronScheduledAt)) && (
            <>
              , due <LocalTime instantMs={Date.parse(origin.cronScheduledAt)} />
            </>
          )}
        </>
      );
    case "SCHEDULE":
      return origin.scheduleId === null ? (
        <>a schedule; which one is not recorded</>
      ) : (
        <>
          the scheduled run{" "}
          <Link to="/runs" search={{ metadata: [`${SCHEDULE_ID_KEY}:${origin.scheduleId}`], window: "all" }} className={LINK}>
            {origin.scheduleId}
          </Link>
        </>
      );
    case "TRIGGER":
      return <>a program or a person; who it was is not recorded</>;
    default:
      return <>not recorded</>;
  }
}

function TaskRows({ defined }: { defined: DefinedTask }) {
  return (
    <>
      <Row name={`${defined.name} may run`}>
        {defined.execution_timeout_us === null ? "any time" : formatDuration(defined.execution_timeout_us / 1_000)}
        {defined.schedule_timeout_us !== null && `, and wait ${formatDuration(defined.schedule_timeout_us / 1_000)} for a worker`}
      </Row>
      <Row name="Retries">{defined.retries}</Row>
      {defined.labels.length > 0 && <Row name="Needs labels">{labelsText(defined.labels)}</Row>}
    </>
  );
}

function labelsText(labels: readonly Readonly<Record<string, unknown>>[]): string {
  return labels
    .map((label) => {
      const value = typeof label["value"] === "string" ? label["value"] : JSON.stringify(label["value"]);
      const comparator = typeof label["comparator"] === "string" ? label["comparator"].toLowerCase().replaceAll("_", " ") : "=";
      return `${String(label["key"])} ${comparator === "equal" ? "=" : comparator} ${value}${label["required"] === true ? " (required)" : ""}`;
    })
    .join(", ");
}

function Children({ tenantId, parent, isOnly }: { tenantId: string; parent: TaskSummary; isOnly: boolean }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details className="border-t border-line px-4 py-2 text-sm" onToggle={(event) => setIsOpen(event.currentTarget.open)}>
      <summary>
        {parent.numSpawnedChildren.toLocaleString()} {parent.numSpawnedChildren === 1 ? "run" : "runs"} started by{" "}
        {isOnly ? "it" : parent.displayName}
      </summary>
      {isOpen && <ChildList tenantId={tenantId} parent={parent} />}
    </details>
  );
}

function ChildList({ tenantId, parent }: { tenantId: string; parent: TaskSummary }) {
  const children = useInfiniteQuery(childrenQuery(tenantId, parent));
  if (children.data === undefined) {
    return (
      <p role={children.error === null ? "status" : "alert"} className="py-2 text-ink-soft">
        {children.error === null ? "Loading…" : children.error.message}
      </p>
    );
  }
  return (
    <>
      <ul aria-label="Child runs" className="mt-1 max-h-80 space-y-1 overflow-y-auto">
        {rowsIn(children.data).map((child) => (
          <li key={child.taskExternalId} className="flex flex-wrap items-center gap-2">
            <StatusPill status={child.status} />
            <Link to="/runs/$id" params={{ id: child.taskExternalId }} className={`${LINK} min-w-0 break-all`}>
              {child.displayName}
            </Link>
            <Took span={child} live={!isTerminal(child.status)} />
          </li>
        ))}
      </ul>
      {children.hasNextPage && (
        <Button size="small" className="mt-2" disabled={children.isFetchingNextPage} onClick={() => void children.fetchNextPage()}>
          {children.isFetchingNextPage ? "Loading…" : "More"}
        </Button>
      )}
    </>
  );
}
