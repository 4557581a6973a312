/** Two runs of one workflow side by side: how they ended, what they were given and gave, and how long each task took. */
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, type ReactNode } from "react";

import { errorSummary } from "../components/errorSummary";
import { ErrorNotice, Loading, Notice } from "../components/Notice";
import { PageHeader } from "../components/PageHeader";
import { StatusPill } from "../components/StatusPill";
import { LocalTime, Took } from "../components/Times";
import { Card, CardHeader } from "../components/ui/card";
import { cn } from "../components/ui/classes";
import { stepsOf, type Step } from "../graph/steps";
import { diffJson } from "../json/diff";
import { isTerminal, runQuery } from "../services/runs";
import type { RunDetails } from "../services/schemas";
import { formatDuration } from "../time/format";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/runs/$id/compare/$other");
const DIFFERENCES_MAX = 500;

export function ComparePage() {
  const { id, other } = route.useParams();
  useTitle("Two runs");
  const lookups = [useQuery(runQuery(id)), useQuery(runQuery(other))];
  const missing = [id, other].find((_, index) => lookups[index]?.data !== undefined && lookups[index].data.kind !== "run");
  const [left, right] = lookups.map((lookup) => (lookup.data?.kind === "run" ? lookup.data.details : null));
  const failed = lookups.find((lookup) => lookup.error !== null && lookup.data === undefined);

  if (missing !== undefined) {
    return (
      <Notice level="h1" title="There is no such run">
        <p>
          No run has the id <code className="font-mono text-sm break-all">{missing}</code>.
        </p>
      </Notice>
    );
  }
  return (
    <>
      <PageHeader title="Two runs side by side" docs="console#one-run" />
      {left && right ? (
        <Comparison left={left} right={right} />
      ) : failed?.error ? (
        <ErrorNotice error={failed.error} onRetry={() => void failed.refetch()} />
      ) : (
        <Loading label="Loading the runs…" />
      )}
    </>
  );
}

function Comparison({ left, right }: { left: RunDetails; right: RunDetails }) {
  const isOneWorkflow = left.run.workflowId === right.run.workflowId;
  return (
    <div className="space-y-5">
      {!isOneWorkflow && (
        <p className="rounded-md border border-cancelled bg-cancelled-soft px-3 py-2 text-sm">
          These are runs of different workflows; tasks are compared by their names.
        </p>
      )}
      <Card aria-label="Runs">
        <Sides>
          <Side details={left} />
          <Side details={right} />
        </Sides>
      </Card>
      <Card aria-label="Tasks">
        <CardHeader title="Tasks" />
        <Tasks left={left} right={right} />
      </Card>
      <Differences title="Input" left={left.run.input} right={right.run.input} />
      <Differences title="Output" left={left.run.output} right={right.run.output} />
      <Differences title="Metadata" left={left.run.additionalMetadata} right={right.run.additionalMetadata} />
    </div>
  );
}

function Sides({ children }: { children: ReactNode }) {
  return <div className="grid grid-cols-2 divide-x divide-line [&>*]:min-w-0 [&>*]:p-3 sm:[&>*]:p-4">{children}</div>;
}

function Side({ details: { run, tasks } }: { details: RunDetails }) {
  const attempts = tasks.reduce((sum, task) => sum + task.attempt, 0);
  return (
    <div className="space-y-1.5 text-sm">
      <h2 className="font-semibold break-all">
        <Link to="/runs/$id" params={{ id: run.metadata.id }} className="text-accent underline">
          {run.displayName}
        </Link>
      </h2>
      <StatusPill status={run.status} />
      <p className="text-ink-soft">
        <LocalTime instantMs={run.createdAt ?? run.metadata.createdAt} />
      </p>
      <p>
        <Took span={run} live={!isTerminal(run.status)} /> · {attempts} {attempts === 1 ? "attempt" : "attempts"}
      </p>
      {run.errorMessage !== null && run.errorMessage !== "" && (
        <p className="line-clamp-3 font-mono text-xs break-words text-failed">{errorSummary(run.errorMessage)}</p>
      )}
    </div>
  );
}

function Tasks({ left, right }: { left: RunDetails; right: RunDetails }) {
  const rows = useMemo(() => {
    const [ours, theirs] = [left, right].map((details) => new Map(stepsOf(details).map((step) => [step.name, step])));
    const names = new Set([...(ours?.keys() ?? []), ...(theirs?.keys() ?? [])]);
    return [...names].map((name) => ({ name, left: ours?.get(name) ?? null, right: theirs?.get(name) ?? null }));
  }, [left, right]);
  return (
    <div className="max-h-[32rem] overflow-auto">
      <table aria-label="Tasks of both runs" className="w-full text-left text-sm">
        <thead className="text-xs text-ink-soft">
          <tr className="border-b border-line">
            <th scope="col" className="px-3 py-2 font-medium sm:px-4">
              Task
            </th>
            <th scope="col" className="px-2 py-2 font-medium">
              {left.run.displayName}
            </th>
            <th scope="col" className="px-2 py-2 font-medium">
              {right.run.displayName}
            </th>
            <th scope="col" className="px-3 py-2 text-right font-medium sm:px-4">
              Difference
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.name} className="border-b border-line last:border-0">
              <th scope="row" className="px-3 py-2 font-medium break-all sm:px-4">
                {row.name}
              </th>
              <td className="px-2 py-2">
                <Told step={row.left} />
              </td>
              <td className="px-2 py-2">
                <Told step={row.right} />
              </td>
              <td className="px-3 py-2 text-right tabular-nums sm:px-4">{slower(row.left, row.right)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Told({ step }: { step: Step | null }) {
  if (step === null) return <span className="text-ink-soft">not part of it</span>;
  return (
    <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
      <StatusPill status={step.status} />
      {step.task !== null && <Took span={step.task} live={!isTerminal(step.task.status)} />}
      {step.task !== null && step.task.attempt > 1 && <span className="text-xs text-ink-soft">attempt {step.task.attempt}</span>}
    </span>
  );
}

function slower(left: Step | null, right: Step | null): ReactNode {
  const [one, other] = [left?.task?.duration, right?.task?.duration];
  if (one === null || one === undefined || other === null || other === undefined) return "–";
  const byMs = other - one;
  if (byMs === 0) return "same";
  return (
    <span className={cn(byMs > 0 ? "text-failed" : "text-completed")}>
      {byMs > 0 ? "+" : "−"}
      {formatDuration(Math.abs(byMs))}
    </span>
  );
}

function Differences({ title, left, right }: { title: string; left: unknown; right: unknown }) {
  const found = useMemo(() => diffJson(left, right, DIFFERENCES_MAX), [left, right]);
  return (
    <Card aria-label={title}>
      <CardHeader title={title} />
      {found.length === 0 ? (
        <p className="px-4 py-4 text-sm text-ink-soft">The same.</p>
      ) : (
        // A scrollable region must be reachable by keyboard to be scrolled by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div tabIndex={0} className="max-h-96 overflow-auto">
          <ul className="divide-y divide-line text-xs">
            {found.map((item) => (
              <li key={item.path} data-testid="difference">
                <code className="block px-3 pt-2 font-mono break-all text-ink-soft sm:px-4">{item.path}</code>
                <Sides>
                  <Value text={item.left} look="text-failed" />
                  <Value text={item.right} look="text-completed" />
                </Sides>
              </li>
            ))}
          </ul>
          {found.length === DIFFERENCES_MAX && <p className="px-4 py-2 text-xs text-ink-soft">The first {DIFFERENCES_MAX} differences are shown.</p>}
        </div>
      )}
    </Card>
  );
}

const VALUE_CHARS_MAX = 1_000;

function Value({ text, look }: { text: string | null; look: string }) {
  if (text === null) return <span className="text-ink-soft">nothing</span>;
  return (
    <code className={cn("font-mono break-all", look)} title={text.slice(0, VALUE_CHARS_MAX)}>
      {text.length > VALUE_CHARS_MAX ? `${text.slice(0, VALUE_CHARS_MAX)}…` : text}
    </code>
  );
}
