import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { PausedMark } from "../components/PausedMark";
import { SearchBox } from "../components/SearchBox";
import { StartDialog } from "../components/StartDialog";
import { Ago } from "../components/Times";
import { Button } from "../components/ui/button";
import type { Workflow } from "../services/schemas";
import { workflowPagesQuery } from "../services/workflows";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/workflows");

export function WorkflowsPage() {
  useTitle("Workflows");
  const { tenant } = useSession();
  const { search = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const workflows = useInfiniteQuery(workflowPagesQuery(tenant.id, search));
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
              <Button size="small" aria-label={`Run ${workflow.name}`} onClick={() => setStarts(workflow)}>
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
