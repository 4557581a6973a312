/** A run beside the list: how it stands, what went in and came out, and what can be done with it. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";

import { cancelRuns, isTerminal, replayRuns, runQuery } from "../../services/runs";
import type { RunDetails } from "../../services/schemas";
import { ConfirmButton } from "../ConfirmButton";
import { CopyButton } from "../CopyButton";
import { errorSummary, errorText } from "../errorSummary";
import { JsonViewer } from "../JsonViewer";
import { MetadataChips } from "../MetadataChips";
import { ErrorNotice, Loading, Notice } from "../Notice";
import { StatusPill } from "../StatusPill";
import { LocalTime, Took } from "../Times";
import { Button } from "../ui/button";

export function RunPeek({ tenantId, runId, onClose }: { tenantId: string; runId: string; onClose: () => void }) {
  const found = useQuery(runQuery(runId));
  const panel = useRef<HTMLElement>(null);

  useEffect(() => {
    // On a narrow screen the panel lies over the list, and what is under it is not there for the keyboard either.
    if (panel.current !== null && getComputedStyle(panel.current).position === "fixed") panel.current.focus();
  }, [runId]);

  return (
    <aside
      ref={panel}
      tabIndex={-1}
      aria-label="Run details"
      className="fixed inset-y-0 right-0 z-30 w-full overflow-y-auto border-l border-line bg-card shadow-xl sm:max-w-md lg:sticky lg:top-4 lg:z-0 lg:max-h-[calc(100dvh-2rem)] lg:w-96 lg:max-w-none lg:shrink-0 lg:self-start lg:rounded-lg lg:border lg:shadow-none"
    >
      <header className="sticky top-0 z-10 flex items-center justify-between gap-2 border-b border-line bg-card px-4 py-2">
        <h2 className="text-sm font-semibold">Run</h2>
        <Button size="small" variant="ghost" aria-label="Close the run details" title="Escape" onClick={onClose}>
          ✕
        </Button>
      </header>
      {found.data === undefined ? (
        found.error === null ? (
          <Loading label="Loading the run…" />
        ) : (
          <ErrorNotice error={found.error} onRetry={() => void found.refetch()} />
        )
      ) : found.data.kind === "run" ? (
        <Details tenantId={tenantId} details={found.data.details} />
      ) : (
        <Notice title="There is no such run">
          <p>It is older than what is kept, or the address is wrong.</p>
        </Notice>
      )}
    </aside>
  );
}

function Details({ tenantId, details: { run, tasks } }: { tenantId: string; details: RunDetails }) {
  const client = useQueryClient();
  const id = run.metadata.id;
  const again = () => void client.invalidateQueries({ queryKey: ["runs"] });
  const failed = tasks.find((task) => task.errorMessage !== null);
  const error = run.errorMessage ?? failed?.errorMessage ?? null;
  return (
    <div className="space-y-4 pb-6 text-sm">
      <div className="space-y-2 px-4 pt-3">
        <Link to="/runs/$id" params={{ id }} className="font-semibold wrap-anywhere text-accent underline">
          {run.displayName}
        </Link>
        <div className="flex flex-wrap items-center gap-2">
          <StatusPill status={run.status} />
          <Took span={run} live={!isTerminal(run.status)} />
          {isTerminal(run.status) ? (
            <ConfirmButton label="Replay…" needs="replay" accessibleName="Replay this run" title="Replay this run?" confirm="Replay 1" act={() => replayRuns(tenantId, [id])} onDone={again}>
              <p>1 run starts again, with the input it had.</p>
            </ConfirmButton>
          ) : (
            <ConfirmButton label="Cancel…" needs="cancel" accessibleName="Cancel this run" title="Cancel this run?" confirm="Cancel 1" act={() => cancelRuns(tenantId, [id])} onDone={again}>
              <p>1 run will be cancelled. What waits does not start, and workers are told to stop what runs.</p>
            </ConfirmButton>
          )}
        </div>
        <dl className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-1">
          <dt className="text-ink-soft">Id</dt>
          <dd className="flex flex-wrap items-center gap-2">
            <code className="text-xs break-all">{id}</code>
            <CopyButton label="the id" text={id} />
          </dd>
          <Time label="Created" at={run.createdAt} />
          <Time label="Started" at={run.startedAt} />
          <Time label="Finished" at={run.finishedAt} />
          <dt className="text-ink-soft">More</dt>
          <dd className="flex flex-wrap gap-x-3">
            <Link to="/workflows/$id" params={{ id: run.workflowId }} className="text-accent underline">
              Workflow
            </Link>
            <Link to="/runs" search={{ parent: id }} className="text-accent underline">
              Child runs
            </Link>
            {run.parentTaskExternalId !== null && (
              <Link to="/runs/$id" params={{ id: run.parentTaskExternalId }} className="text-accent underline">
                Parent
              </Link>
            )}
          </dd>
        </dl>
        <MetadataChips metadata={run.additionalMetadata} />
      </div>
      {error !== null && (
        <section aria-label="Error" className="border-t border-line px-4 pt-3">
          <h3 className="mb-1 font-semibold">Error</h3>
          <p className="font-mono text-xs break-words text-failed">{errorSummary(error)}</p>
          <details className="mt-2">
            <summary className="cursor-pointer text-xs text-ink-soft">All of it</summary>
            {/* A scrollable region must be reachable by keyboard to be scrolled by keyboard. */}
            {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
            <pre tabIndex={0} className="mt-1 max-h-80 overflow-auto font-mono text-xs break-words whitespace-pre-wrap">
              {errorText(error)}
            </pre>
          </details>
        </section>
      )}
      <section aria-label="Input of the run" className="border-t border-line">
        <h3 className="px-4 pt-3 font-semibold">Input</h3>
        <JsonViewer label="Input" value={run.input} empty="No input." />
      </section>
      <section aria-label="Output of the run" className="border-t border-line">
        <h3 className="px-4 pt-3 font-semibold">Output</h3>
        <JsonViewer label="Output" value={run.output} empty={isTerminal(run.status) ? "No output." : "Not there yet."} />
      </section>
    </div>
  );
}

function Time({ label, at }: { label: string; at: number | null }) {
  if (at === null) return null;
  return (
    <>
      <dt className="text-ink-soft">{label}</dt>
      <dd>
        <LocalTime instantMs={at} />
      </dd>
    </>
  );
}
