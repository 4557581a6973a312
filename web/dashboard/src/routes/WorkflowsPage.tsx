import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { Ago } from "../components/Times";
import { Card } from "../components/ui/card";
import type { Workflow } from "../services/schemas";
import { workflowsQuery } from "../services/workflows";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

export function WorkflowsPage() {
  useTitle("Workflows");
  const { tenant } = useSession();
  const workflows = useQuery(workflowsQuery(tenant.id));

  return (
    <>
      <h1 className="mb-4 text-xl font-semibold">Workflows</h1>
      {workflows.error !== null && workflows.data !== undefined && <StaleBanner error={workflows.error} />}
      <Card aria-label="Workflow list">
        {workflows.data === undefined ? (
          workflows.error ? (
            <ErrorNotice error={workflows.error} onRetry={() => void workflows.refetch()} />
          ) : (
            <Loading label="Loading workflows…" />
          )
        ) : workflows.data.length === 0 ? (
          <Notice title="No workflows">
            <p>A workflow appears here when a worker that can run it connects.</p>
          </Notice>
        ) : (
          <WorkflowTable workflows={workflows.data} />
        )}
      </Card>
    </>
  );
}

function WorkflowTable({ workflows }: { workflows: readonly Workflow[] }) {
  return (
    <div className="overflow-x-auto">
      <table aria-label="Workflows" className="w-full text-left text-sm">
        <thead className="text-xs text-ink-soft">
          <tr className="border-b border-line">
            {["Workflow", "Created", "Runs"].map((title) => (
              <th key={title} scope="col" className="px-4 py-2 font-medium">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {workflows.map((workflow) => (
            <tr key={workflow.metadata.id} data-testid="workflow-row" className="border-b border-line last:border-0">
              <th scope="row" className="px-4 py-2.5 align-top font-medium">
                {workflow.name}
                {workflow.isPaused && (
                  <span className="ml-2 rounded-full bg-cancelled-soft px-2 py-0.5 text-xs text-cancelled">Paused</span>
                )}
                {workflow.description !== null && workflow.description !== "" && (
                  <span className="block font-normal text-ink-soft">{workflow.description}</span>
                )}
              </th>
              <td className="px-4 py-2.5 align-top">
                <Ago instantMs={workflow.metadata.createdAt} />
              </td>
              <td className="px-4 py-2.5 align-top">
                <Link
                  to="/"
                  search={{ workflow: workflow.metadata.id }}
                  aria-label={`Runs of ${workflow.name}`}
                  className="text-accent underline"
                >
                  Show runs
                </Link>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
