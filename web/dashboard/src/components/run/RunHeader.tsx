/** What run this is: its name, state and times. */
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { isTerminal } from "../../services/runs";
import type { RunDetails } from "../../services/schemas";
import { CopyButton } from "../CopyButton";
import { DocsLink } from "../PageHeader";
import { StatusPill } from "../StatusPill";
import { LocalTime, Took } from "../Times";

export function RunHeader({ details, children }: { details: RunDetails; children: ReactNode }) {
  const { run, tasks } = details;
  const instants = [
    ["Created", run.createdAt],
    ["Started", run.startedAt],
    ["Finished", run.finishedAt],
  ] as const;
  return (
    <header className="flex flex-wrap items-start justify-between gap-4 md:flex-nowrap">
      <div className="min-w-0 flex-1 basis-80">
        <div className="flex gap-4 text-sm text-ink-soft">
          <nav aria-label="Breadcrumb">
            <Link to="/runs" className="hover:text-ink hover:underline">
              Runs
            </Link>
          </nav>
          <DocsLink to="console#one-run" />
        </div>
        <div className="mt-1 flex flex-wrap items-center gap-3">
          <h1 data-testid="run-heading" className="text-xl font-semibold break-all">
            {run.displayName}
          </h1>
          <div aria-live="polite">
            <StatusPill status={run.status} />
          </div>
        </div>
        <dl className="mt-2 flex flex-wrap gap-x-6 gap-y-1 text-sm text-ink-soft [&_dd]:text-ink [&>div]:flex [&>div]:gap-1.5">
          {instants.map(
            ([name, instantMs]) =>
              instantMs !== null && (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>
                    <LocalTime instantMs={instantMs} />
                  </dd>
                </div>
              ),
          )}
          <div>
            <dt>Duration</dt>
            <dd>
              <Took span={run} live={!isTerminal(run.status)} />
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
          <div className="items-center">
            <dt>Id</dt>
            <dd className="flex items-center gap-2">
              <code className="font-mono text-xs break-all">{run.metadata.id}</code>
              <CopyButton label="run id" text={run.metadata.id} />
            </dd>
          </div>
        </dl>
      </div>
      {children}
    </header>
  );
}
