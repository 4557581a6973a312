/** What can be done with a run: end it, do it again in whole or in part, take it elsewhere, compare it. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";

import { asCli, asCurl, asPython, givenMetadata, type Started } from "../../copy/asCode";
import { downstreamOf, type Step } from "../../graph/steps";
import { cancelRuns, isTerminal, replayRuns } from "../../services/runs";
import { replayTasks, runFilePath, type RunFacts } from "../../services/runFacts";
import type { RunDetails } from "../../services/schemas";
import type { SignedIn } from "../../services/session";
import { CodeBlock } from "../CodeBlock";
import { Confirmation, ConfirmButton } from "../ConfirmButton";
import { Refusal } from "../Notice";
import { StartDialog } from "../StartDialog";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Menu } from "../ui/menu";
import { testOf } from "./testOf";

const CompareDialog = lazy(() => import("./CompareDialog"));

interface Code {
  readonly label: string;
  readonly text: string;
  /** Keys of the metadata that it gives as text, or not at all. */
  readonly unsaid?: readonly string[];
}

export function RunActs({
  session,
  details,
  facts,
  steps,
  chosen,
}: {
  session: SignedIn;
  details: RunDetails;
  facts: RunFacts | null;
  steps: readonly Step[];
  chosen: Step | null;
}) {
  const client = useQueryClient();
  const [again, setAgain] = useState(false);
  const [code, setCode] = useState<Code | null>(null);
  const [compares, setCompares] = useState(false);
  const [replaysUnhappy, setReplaysUnhappy] = useState(false);
  const { tenant } = session;
  const { run, tasks } = details;
  const runId = run.metadata.id;
  const live = !isTerminal(run.status);
  const refresh = { onSettled: () => client.invalidateQueries({ queryKey: ["runs"] }) };
  const unhappy = steps.filter(({ task }) => task !== null && (task.status === "FAILED" || task.status === "CANCELLED"));
  const withUnhappy = new Set(unhappy.flatMap((step) => [...downstreamOf(steps, step.id)])).size;
  const testing = useMutation({
    mutationFn: async (step: Step) => testOf(tenant.id, details, step),
    onSuccess: (text) => setCode({ label: "pytest", text }),
  });

  const workflowName = tasks.find((task) => task.workflowName !== null)?.workflowName ?? null;
  const active = tasks.filter((task) => !isTerminal(task.status)).length;
  const metadata = givenMetadata(run.additionalMetadata);
  const started: Started = { tenantId: tenant.id, workflowName: workflowName ?? "", input: run.input, metadata, priority: facts?.priority ?? null };
  const hasTask = chosen !== null && chosen.task !== null;

  return (
    <div className="flex flex-col items-start gap-1 md:items-end md:pt-6">
      <div className="flex flex-wrap gap-2">
        <ConfirmButton
          label="Cancel"
          needs="cancel"
          size="regular"
          disabled={!live}
          title="Cancel this run?"
          confirm="Cancel it"
          act={() => cancelRuns(tenant.id, [runId])}
          onDone={() => void refresh.onSettled()}
        >
          <p>
            {active === 1 ? "1 task that waits or runs" : `${active} tasks that wait or run`} will be ended: what waits does not start, and workers
            are told to stop what runs. {session.user === null ? "" : `You do this as ${session.user.email}.`}
          </p>
        </ConfirmButton>
        <ConfirmButton
          label="Replay"
          needs="replay"
          size="regular"
          variant="secondary"
          disabled={live}
          title="Replay this run?"
          confirm={`Replay ${manyTasks(steps.length)}`}
          act={() => replayRuns(tenant.id, [runId])}
          onDone={() => void refresh.onSettled()}
        >
          <p>
            {steps.length === 1 ? "Its task runs" : `All its ${steps.length} tasks run`} again from the start, with the input that this run had. The
            outputs it has now make room for the new ones.
          </p>
        </ConfirmButton>
        {workflowName !== null && (
          <Button needs="trigger" onClick={() => setAgain(true)}>
            Run again…
          </Button>
        )}
        <Menu
          label="More"
          items={[
            ...(steps.length > 1
              ? [
                  {
                    label: `Replay what failed (${unhappy.length} and what comes after)`,
                    needs: "replay" as const,
                    isDisabled: live || unhappy.length === 0,
                    onChoose: () => setReplaysUnhappy(true),
                  },
                ]
              : []),
            { label: "Copy as curl", isDisabled: workflowName === null, onChoose: () => setCode({ label: "curl", text: asCurl(started, window.location.origin) }) },
            {
              label: "Copy as CLI",
              isDisabled: workflowName === null,
              onChoose: () => setCode({ label: "CLI", ...asCli(started, window.location.origin) }),
            },
            { label: "Copy as Python", isDisabled: workflowName === null, onChoose: () => setCode({ label: "Python", text: asPython(started) }) },
            {
              label: hasTask ? `Copy ${chosen.name} as pytest` : "Copy as pytest",
              isDisabled: !hasTask || testing.isPending,
              onChoose: () => {
                if (chosen !== null) testing.mutate(chosen);
              },
            },
            ...(session.file === null
              ? [
                  { label: "Compare with…", onChoose: () => setCompares(true) },
                  { label: "Download as a file", onChoose: () => window.location.assign(runFilePath(runId)) },
                ]
              : []),
          ]}
        />
      </div>
      {testing.error !== null && <Refusal error={testing.error} className="max-w-72 md:text-right" />}
      {replaysUnhappy && (
        <Confirmation
          title="Replay what failed?"
          confirm={`Replay ${manyTasks(withUnhappy)}`}
          act={() => replayTasks(tenant.id, unhappy.flatMap(({ task }) => (task === null ? [] : [task.taskExternalId])))}
          onDone={() => void refresh.onSettled()}
          onClose={() => setReplaysUnhappy(false)}
        >
          <p>
            What failed or was cancelled ({unhappy.length}) and what comes after it run again: {manyTasks(withUnhappy)}. What was done before is kept, and
            given to them as it was.
          </p>
        </Confirmation>
      )}
      {again && workflowName !== null && (
        <StartDialog
          tenantId={tenant.id}
          workflow={{ id: run.workflowId, name: workflowName }}
          input={run.input}
          metadata={metadata}
          onClose={() => setAgain(false)}
        />
      )}
      {code !== null && (
        <Dialog title={`As ${code.label}`} onClose={() => setCode(null)} wide>
          <CodeBlock label={code.label} text={code.text} />
          {code.unsaid !== undefined && code.unsaid.length > 0 && (
            <p className="mt-2 text-sm text-ink-soft">
              Metadata is text on the command line. Given otherwise than in this run, or not at all: {code.unsaid.join(", ")}.
            </p>
          )}
        </Dialog>
      )}
      {compares && (
        <Suspense fallback={null}>
          <CompareDialog tenantId={tenant.id} details={details} onClose={() => setCompares(false)} />
        </Suspense>
      )}
    </div>
  );
}

function manyTasks(count: number): string {
  return count === 1 ? "1 task" : `${count} tasks`;
}
