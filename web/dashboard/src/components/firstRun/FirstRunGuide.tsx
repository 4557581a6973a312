/** What a newcomer sees until there is a first run, which appears here by itself. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import type { TaskSummary } from "../../services/schemas";
import { createToken, type Sdk } from "../../services/tokens";
import { startRun } from "../../services/triggers";
import { workflowsQuery } from "../../services/workflows";
import { CodeBlock } from "../CodeBlock";
import { useMay } from "../may";
import { StatusPill } from "../StatusPill";
import { TokenEnvironment } from "../TokenEnvironment";
import { Button } from "../ui/button";
import { Card } from "../ui/card";
import { Tabs } from "../ui/tabs";
import { ExampleOffer } from "./ExampleOffer";
import { FIRST_WORKFLOW, LANGUAGES, type Language } from "./languages";

const TOKEN_NAME = "first program";
const TOKEN_LIFE = "2160h";

export function FirstRunGuide({ tenantId, first, onLeave }: { tenantId: string; first: TaskSummary | null; onLeave: () => void }) {
  const [language, setLanguage] = useState<Language["id"]>("python");
  const chosen = LANGUAGES.find(({ id }) => id === language) ?? LANGUAGES[0];
  return (
    <div className="space-y-5">
      <div aria-live="polite">{first !== null && <FirstRun run={first} onLeave={onLeave} />}</div>
      {first === null && <ExampleOffer tenantId={tenantId} />}
      <Card aria-label="Write a first program">
        <Tabs label="Language" tabs={LANGUAGES} chosen={language} onChoose={setLanguage}>
          {chosen !== undefined && (
            <ol className="space-y-6 px-4 py-4 sm:px-6">
              <Step number={1} title="Let a program in">
                <TokenMaker tenantId={tenantId} sdk={chosen.label} />
              </Step>
              <Step number={2} title="Write a worker">
                <div className="text-sm text-ink-soft">
                  <p className="mt-1">Install the SDK. {chosen.note}</p>
                  <CodeBlock label="install command" text={chosen.install} />
                  <p className="mt-4">
                    Save this as <code className="font-mono text-xs">{chosen.file}</code>.
                  </p>
                  <CodeBlock label={chosen.file} text={chosen.code} />
                  <p className="mt-4">Start it where the variables of step 1 are set, and leave it running: it is a worker.</p>
                  <CodeBlock label="start command" text={chosen.start} />
                </div>
              </Step>
              <Step number={3} title="Run its task">
                <Runner tenantId={tenantId} />
              </Step>
            </ol>
          )}
        </Tabs>
      </Card>
    </div>
  );
}

function Step({ number, title, children }: { number: number; title: string; children: ReactNode }) {
  return (
    <li className="flex gap-3">
      <span aria-hidden="true" className="grid size-6 shrink-0 place-items-center rounded-full bg-accent-soft text-xs font-semibold text-accent">
        {number}
      </span>
      <div className="min-w-0 flex-1">
        <h2 className="text-base font-semibold">{title}</h2>
        {children}
      </div>
    </li>
  );
}

function TokenMaker({ tenantId, sdk }: { tenantId: string; sdk: Sdk }) {
  const client = useQueryClient();
  const may = useMay();
  const making = useMutation({
    mutationFn: () => createToken(tenantId, TOKEN_NAME, TOKEN_LIFE, { role: "ADMIN" }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["tokens"] }),
  });
  if (making.data !== undefined) {
    return (
      <div className="text-sm text-ink-soft">
        <p>This is shown once. Set these variables in the terminal where your programs run:</p>
        <TokenEnvironment token={making.data} sdk={sdk} asCommands />
      </div>
    );
  }
  return (
    <div className="text-sm text-ink-soft">
      <p className="mt-1 mb-2">
        A program carries a token that says which tenant it speaks for. {may("createToken") ? "Make one here" : "An admin of the tenant makes one"}, or
        use the variables that <code className="font-mono text-xs">broadaxe dev</code> printed.
      </p>
      <Button variant="primary" needs="createToken" disabled={making.isPending} onClick={() => making.mutate()}>
        {making.isPending ? "Making a token…" : "Make a token"}
      </Button>
      {making.error !== null && (
        <p role="alert" className="mt-2 text-failed">
          {making.error.message}
        </p>
      )}
    </div>
  );
}

/** The task can be run once a worker has told the engine of it. */
function Runner({ tenantId }: { tenantId: string }) {
  const client = useQueryClient();
  const workflows = useQuery(workflowsQuery(tenantId));
  const running = useMutation({
    mutationFn: () => startRun(tenantId, { workflowName: FIRST_WORKFLOW, input: {}, additionalMetadata: {}, priority: null }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["runs"] }),
  });
  const isThere = workflows.data?.some(({ name }) => name === FIRST_WORKFLOW) === true;
  return (
    <div className="text-sm text-ink-soft">
      <p role="status" className="mt-1 mb-2">
        {isThere ? "Your worker has told the engine of its task." : "As soon as your worker is connected, its task can be run from here."}
      </p>
      <Button variant="primary" needs="trigger" disabled={!isThere || running.isPending} onClick={() => running.mutate()}>
        {running.isPending ? "Starting…" : `Run ${FIRST_WORKFLOW}`}
      </Button>
      {running.error !== null && (
        <p role="alert" className="mt-2 text-failed">
          {running.error.message}
        </p>
      )}
    </div>
  );
}

function FirstRun({ run, onLeave }: { run: TaskSummary; onLeave: () => void }) {
  return (
    <Card aria-label="Your first run" className="border-completed">
      <div className="flex flex-wrap items-center justify-between gap-3 px-4 py-3">
        <p className="flex min-w-0 flex-wrap items-center gap-3">
          <span className="font-semibold">Your first run is here:</span>
          <Link to="/runs/$id" params={{ id: run.taskExternalId }} className="truncate text-accent underline">
            {run.displayName}
          </Link>
          <StatusPill status={run.status} />
        </p>
        <Button onClick={onLeave}>Go to the overview</Button>
      </div>
    </Card>
  );
}
