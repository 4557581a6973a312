import { useInfiniteQuery, useQueries } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { PausedMark } from "../components/PausedMark";
import { SearchBox } from "../components/SearchBox";
import { StartDialog } from "../components/StartDialog";
import { StatusPill } from "../components/StatusPill";
import { Ago } from "../components/Times";
import { Button } from "../components/ui/button";
import type { Workflow } from "../services/schemas";
import { lastRunsQuery, workflowPagesQuery } from "../services/workflows";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/workflows");

export function WorkflowsPage() {
  useTitle("Workflows");
  const { tenant } = useSession();
  const { search = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const workflows = useInfiniteQuery(workflowPagesQuery(tenant.id, search));
  const lastRuns = useQueries({
    // A page of the list at a time: what is shown already is not asked for again because more of it is.
    queries: (workflows.data?.pages ?? []).map((page) => lastRunsQuery(tenant.id, page.rows.map((workflow) => workflow.metadata.id))),
    combine: (answers) => new Map(answers.flatMap((answer) => [...(answer.data ?? [])])),
  });
  const [starts, setStarts] = useState<Workflow | null>(null);

  return (
    <>
      <PageHeader title="Workflows" docs="concepts">
        <SearchBox
          label="Find by name"
          value={search}
          onChange={(text) => void navigate({ search: text === "" ? {} : { search: text }, replace: true })}
        />
      </PageHeader>
      <PagedTable
        label="Workflows"
        query={workflows}
        keyOf={(workflow) => workflow.metadata.id}
        empty={
          search === "" ? (
            <Notice title="No workflows">
              <p>A workflow appears here when a worker that can run it connects.</p>
            </Notice>
          ) : (
            <Notice title={`No workflow has “${search}” in its name`} />
          )
        }
        columns={[
          {
            title: "Workflow",
            cell: (workflow) => (
              <>
                <Link to="/workflows/$id" params={{ id: workflow.metadata.id }} className="hover:text-accent hover:underline">
                  {workflow.name}
                </Link>
                {workflow.isPaused && <PausedMark />}
                {workflow.description !== null && workflow.description !== "" && (
                  <span className="block font-normal text-ink-soft">{workflow.description}</span>
                )}
              </>
            ),
          },
          { title: "Created", cell: (workflow) => <Ago instantMs={workflow.metadata.createdAt} /> },
          {
            title: "Last run",
            cell: (workflow) => {
              const last = lastRuns.get(workflow.metadata.id);
              if (last === undefined) return <span className="text-ink-soft">–</span>;
              return (
                <span className="flex flex-wrap items-center gap-2">
                  <StatusPill status={last.status} />
                  <Link to="/runs/$id" params={{ id: last.runExternalId }} className="text-accent underline">
                    <Ago instantMs={last.createdAt} />
                  </Link>
                </span>
              );
            },
          },
          {
            title: "Runs",
            cell: (workflow) => (
              <Link to="/runs" search={{ workflow: workflow.metadata.id }} className="text-accent underline">
                Runs of {workflow.name}
              </Link>
            ),
          },
          {
            title: "Run",
            isUntitled: true,
            cell: (workflow) => (
              <Button size="small" needs="trigger" aria-label={`Run ${workflow.name}`} onClick={() => setStarts(workflow)}>
                Run
              </Button>
            ),
          },
        ]}
      />
      {starts !== null && (
        <StartDialog
          tenantId={tenant.id}
          workflow={{ id: starts.metadata.id, name: starts.name }}
          onClose={() => setStarts(null)}
        />
      )}
    </>
  );
}
