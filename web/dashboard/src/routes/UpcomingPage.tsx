/** Time to come: the next instants of everything, as the engine's one heap of deadlines has them. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { ChoiceChips } from "../components/ChoiceChips";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { Ago, LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { COMING_KINDS, upcomingQuery, type ComingInstant, type ComingKind } from "../services/waiting";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/upcoming");

const KINDS: Readonly<Record<ComingKind, { readonly chip: string; readonly happens: string }>> = {
  CRON: { chip: "Crons", happens: "A cron ticks" },
  SCHEDULE: { chip: "Schedules", happens: "A scheduled run starts" },
  SLEEP: { chip: "Sleeps", happens: "A sleep is over" },
  RETRY: { chip: "Retries", happens: "The next attempt begins" },
  SCHEDULE_TIMEOUT: { chip: "Queue timeouts", happens: "It is given up if it still waits" },
  EXECUTION_TIMEOUT: { chip: "Execution timeouts", happens: "It is stopped if it still runs" },
  DEBOUNCE: { chip: "Debounces", happens: "A debounced run goes on" },
  BATCH: { chip: "Batches", happens: "A batch goes, full or not" },
  RATE_LIMIT: { chip: "Rate limits", happens: "A limit refills" },
};
const LABELS = Object.fromEntries(COMING_KINDS.map((kind) => [kind, KINDS[kind].chip])) as Record<ComingKind, string>;

export function UpcomingPage() {
  useTitle("Time to come");
  const { tenant } = useSession();
  const { kind = [] } = route.useSearch();
  const navigate = route.useNavigate();
  const coming = useInfiniteQuery(upcomingQuery(tenant.id, kind));
  return (
    <>
      <PageHeader title="Time to come" docs="observability#what-waits-and-what-is-to-come" />
      <p className="mb-3 text-sm text-ink-soft">
        What happens next by itself, earliest first. Scheduled runs of the far future are on{" "}
        <Link to="/scheduled" className="text-accent underline">
          their own page
        </Link>
        .
      </p>
      <div className="mb-4">
        <ChoiceChips
          label="Filter by kind"
          choices={COMING_KINDS}
          labels={LABELS}
          chosen={kind}
          onChange={(kinds) => void navigate({ search: kinds.length === 0 ? {} : { kind: kinds }, replace: true })}
        />
      </div>
      <PagedTable
        label="Time to come"
        query={coming}
        keyOf={(row) => `${row.at} ${row.kind} ${row.taskId ?? row.cronId ?? row.scheduleId ?? row.key ?? ""} ${row.workflowId ?? ""} ${row.count}`}
        empty={
          kind.length === 0 ? (
            <Notice title="Nothing is planned">
              <p>Crons, scheduled runs, sleeping tasks, retries and timeouts appear here as soon as there are any.</p>
            </Notice>
          ) : (
            <Notice title="Nothing of that kind is planned" action={<Button onClick={() => void navigate({ search: {} })}>Show everything</Button>} />
          )
        }
        columns={[
          { title: "When", cell: (row) => <LocalTime instantMs={row.at} /> },
          { title: "In", cell: (row) => <Ago instantMs={row.at} /> },
          { title: "What happens", cell: (row) => KINDS[row.kind].happens },
          { title: "Of", cell: (row) => <Subject row={row} /> },
          {
            title: "Workflow",
            cell: (row) =>
              row.workflowId === null ? (
                "–"
              ) : (
                <Link to="/workflows/$id" params={{ id: row.workflowId }} className="break-all text-accent underline">
                  {row.workflowName ?? "its workflow"}
                </Link>
              ),
          },
        ]}
      />
    </>
  );
}

const LINK = "text-accent underline break-all";

function Subject({ row }: { row: ComingInstant }): ReactNode {
  const tasks = row.count === 1 ? "1 task" : `${row.count.toLocaleString()} tasks`;
  if (row.runId !== null) {
    return (
      <Link to="/runs/$id" params={{ id: row.runId }} search={row.taskId === null ? {} : { task: row.taskId }} className={LINK}>
        {row.runName ?? row.runId}
        {row.taskName !== null && row.taskName !== row.workflowName && `, ${row.taskName}`}
      </Link>
    );
  }
  switch (row.kind) {
    case "CRON":
      return (
        <Link to="/crons" search={row.workflowId === null ? {} : { workflow: row.workflowId }} className={LINK}>
          <code className="font-mono text-xs">{row.key}</code>
        </Link>
      );
    case "SCHEDULE":
      return (
        <Link to="/scheduled" search={row.workflowId === null ? {} : { workflow: row.workflowId }} className={LINK}>
          a scheduled run
        </Link>
      );
    case "RATE_LIMIT":
      return (
        <>
          <Link to="/rate-limits" search={row.key === null ? {} : { search: row.key }} className={LINK}>
            {row.key}
          </Link>
          , {tasks} waiting
        </>
      );
    case "BATCH":
      return row.key === "default" || row.key === null ? `${tasks} gathered` : `${tasks} gathered under ${row.key}`;
    default:
      return row.count === 1 ? "a task" : `the first of ${tasks}`;
  }
}
