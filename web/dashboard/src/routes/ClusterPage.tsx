import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";

import { ConfirmButton } from "../components/ConfirmButton";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { Ago } from "../components/Times";
import { Button } from "../components/ui/button";
import { drainNode, nodesQuery, type ClusterNode } from "../services/cluster";
import { useTitle } from "./useTitle";

export function ClusterPage() {
  useTitle("Cluster");
  const client = useQueryClient();
  const nodes = useInfiniteQuery(nodesQuery);
  /** Whether another engine would take its tenants. */
  const takes = (node: ClusterNode) =>
    nodes.data?.pages.some((page) => page.rows.some((other) => other.id !== node.id && stateOf(other) === "live")) ?? false;
  const refresh = () => void client.invalidateQueries({ queryKey: ["cluster-nodes"] });
  return (
    <>
      <PageHeader title="Cluster" docs="cluster">
        <Button onClick={refresh} disabled={nodes.isFetching}>
          Look again
        </Button>
      </PageHeader>
      <p className="mb-4 text-sm text-ink-soft">
        The engines that share this database. Each tenant is decided by one of them; all of them take every call.
      </p>
      <PagedTable
        label="Engines"
        query={nodes}
        keyOf={(node) => node.id}
        empty={<Notice title="No engine has said that it lives within the last day" />}
        columns={[
          { title: "Engine", cell: (node) => <span title={node.id}>{node.address}</span> },
          { title: "State", cell: (node) => stateOf(node) },
          { title: "Version", cell: (node) => node.version },
          { title: "Tenants", cell: (node) => node.tenants },
          { title: "Cores in use", cell: (node) => node.load.toFixed(2) },
          { title: "Started", cell: (node) => <Ago instantMs={node.startedAt} /> },
          { title: "Last sign of life", cell: (node) => `${node.renewedSecondsAgo.toFixed(1)} s before this was read` },
          { title: "Drain", isUntitled: true, cell: (node) => <Drain node={node} isAlone={!takes(node)} onDone={refresh} /> },
        ]}
      />
    </>
  );
}

function stateOf(node: ClusterNode): string {
  if (node.isLost) return "lost";
  if (node.drainingAt === null) return "live";
  return node.tenants === 0 ? "drained" : "draining";
}

function Drain({ node, isAlone, onDone }: { node: ClusterNode; isAlone: boolean; onDone: () => void }) {
  if (node.isLost) return null;
  const isUndone = node.drainingAt !== null;
  const label = isUndone ? "Own again" : "Drain";
  return (
    <ConfirmButton
      needs={null}
      label={label}
      accessibleName={`${label}: ${node.address} ${node.id.slice(0, 8)}`}
      title={isUndone ? `Let ${node.address} own tenants again?` : `Drain ${node.address}?`}
      confirm={isUndone ? "Let it own again" : "Drain it"}
      act={() => drainNode(node.id, isUndone)}
      onDone={onDone}
    >
      <p>
        {isUndone
          ? "It gets its share of the tenants from the other engines, one at a time."
          : isAlone
            ? "There is no other engine to take its tenants, so it keeps them until one comes."
            : `It hands its tenants (${node.tenants} now) over to the other engines, one at a time, and takes none from then on. No call fails over it, and its clients stay connected until it is stopped.`}
      </p>
    </ConfirmButton>
  );
}
