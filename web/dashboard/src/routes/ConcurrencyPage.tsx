/** Who holds which concurrency key and who waits for it, and which queues wait for workers: from live memory. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";

import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { SearchBox } from "../components/SearchBox";
import { Ago } from "../components/Times";
import { Button } from "../components/ui/button";
import { Select } from "../components/ui/field";
import { concurrencyKeysQuery, queuesQuery, type ConcurrencyKey, type KeyHolder } from "../services/waiting";
import { workflowsQuery } from "../services/workflows";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/concurrency");

export function ConcurrencyPage() {
  useTitle("Concurrency");
  const { tenant } = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const workflows = useQuery(workflowsQuery(tenant.id)).data ?? [];
  const keys = useInfiniteQuery(concurrencyKeysQuery(tenant.id, search.search ?? "", search.workflow ?? null));
  const isFiltered = search.search !== undefined || search.workflow !== undefined;

  function refine(change: { search?: string | undefined; workflow?: string | undefined }): void {
    const next = { ...search, ...change };
    void navigate({
      search: { ...(next.search ? { search: next.search } : {}), ...(next.workflow ? { workflow: next.workflow } : {}) },
      replace: true,
    });
  }

  return (
    <>
      <PageHeader title="Concurrency" docs="flow-control#concurrency-limits">
        <SearchBox label="Find by key" value={search.search ?? ""} onChange={(text) => refine({ search: text })} />
        <Select
          aria-label="Workflow"
          className="w-auto max-w-full"
          value={search.workflow ?? ""}
          onChange={(event) => refine({ workflow: event.target.value })}
        >
          <option value="">All workflows</option>
          {workflows.map((workflow) => (
            <option key={workflow.metadata.id} value={workflow.metadata.id}>
              {workflow.name}
            </option>
          ))}
        </Select>
      </PageHeader>
      <PagedTable
        label="Concurrency keys"
        query={keys}
        keyOf={(row) => `${row.workflowId} ${row.taskName ?? ""} ${row.ruleName ?? ""} ${row.expression} ${row.key}`}
        empty={
          isFiltered ? (
            <Notice title="No key in use matches" action={<Button onClick={() => void navigate({ search: {} })}>Show all keys</Button>} />
          ) : (
            <Notice title="No concurrency key is in use">
              <p>A key appears here while a run holds a slot of it, or waits for one. Rules are declared with a workflow or a task.</p>
            </Notice>
          )
        }
        columns={[
          { title: "Key", cell: (row) => <code className="font-mono text-xs break-all">{row.key}</code> },
          { title: "Rule", cell: (row) => <Rule row={row} /> },
          {
            title: "Held",
            cell: (row) => (
              <>
                <span className="tabular-nums">
                  {row.held.toLocaleString()} of {row.maxRuns.toLocaleString()}
                </span>
                <Holders holders={row.holders} count={row.held} />
              </>
            ),
          },
          {
            title: "Waiting",
            cell: (row) => (
              <>
                <span className="tabular-nums">{row.waiting.toLocaleString()}</span>
                <Holders holders={row.waiters} count={row.waiting} />
              </>
            ),
          },
        ]}
      />
      <h2 className="mt-8 mb-3 text-lg font-semibold">Queues</h2>
      <Queues tenantId={tenant.id} />
    </>
  );
}

function Rule({ row }: { row: ConcurrencyKey }) {
  return (
    <>
      <Link to="/workflows/$id" params={{ id: row.workflowId }} className="break-all text-accent underline">
        {row.workflowName}
      </Link>
      {row.taskName !== null && row.taskName !== row.workflowName && <span className="break-all">, task {row.taskName}</span>}
      <code className="block font-mono text-xs break-all text-ink-soft">{row.expression}</code>
      <span className="text-xs text-ink-soft">
        {row.strategy.toLowerCase().replaceAll("_", " ")}
        {row.isTenantScoped && `, shared by the name ${row.ruleName ?? ""}`}
      </span>
    </>
  );
}

const SHOWN_MAX = 5;

function Holders({ holders, count }: { holders: readonly KeyHolder[]; count: number }) {
  if (holders.length === 0) return null;
  const shown = holders.slice(0, SHOWN_MAX);
  return (
    <ul className="mt-1 space-y-0.5 text-xs">
      {shown.map((holder) => (
        <li key={`${holder.runId} ${holder.taskId ?? ""}`}>
          <Link
            to="/runs/$id"
            params={{ id: holder.runId }}
            search={holder.taskId === null ? {} : { task: holder.taskId }}
            className="break-all text-accent underline"
          >
            {holder.runName}
          </Link>{" "}
          <span className="text-ink-soft">
            <Ago instantMs={holder.since} />
          </span>
        </li>
      ))}
      {count > shown.length && <li className="text-ink-soft">and {(count - shown.length).toLocaleString()} more</li>}
    </ul>
  );
}

function Queues({ tenantId }: { tenantId: string }) {
  const queues = useInfiniteQuery(queuesQuery(tenantId));
  return (
    <PagedTable
      label="Queues"
      query={queues}
      keyOf={(queue) => queue.actionId}
      empty={<Notice title="Nobody waits for a worker" />}
      columns={[
        { title: "Action", cell: (queue) => <code className="font-mono text-xs break-all">{queue.actionId}</code> },
        { title: "Waiting", cell: (queue) => <span className="tabular-nums">{queue.waiting.toLocaleString()}</span> },
        { title: "Oldest", cell: (queue) => (queue.oldest === null ? "–" : <Ago instantMs={queue.oldest} />) },
        {
          title: "Workers",
          cell: (queue) =>
            queue.workers === 0 ? (
              <span className="text-failed">none offers it</span>
            ) : (
              <Link to="/workers" className="text-accent underline">
                {queue.workersReady} of {queue.workers} ready
              </Link>
            ),
        },
      ]}
    />
  );
}
