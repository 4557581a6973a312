/** What fired, and whether it goes on. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { alertsQuery } from "../../services/alerts";
import { errorSummary } from "../errorSummary";
import { Notice } from "../Notice";
import { PagedTable } from "../PagedTable";
import { Ago } from "../Times";

export function History({ tenantId }: { tenantId: string }) {
  const alerts = useInfiniteQuery(alertsQuery(tenantId));
  return (
    <PagedTable
      label="History"
      query={alerts}
      keyOf={(alert) => alert.id}
      empty={<Notice title="Nothing to tell of" />}
      columns={[
        { title: "About", cell: (alert) => alert.subject },
        { title: "Rule", cell: (alert) => alert.rule },
        {
          title: "State",
          cell: (alert) =>
            alert.resolvedAt === null ? (
              <span className="font-medium whitespace-nowrap text-failed">goes on</span>
            ) : (
              <span>
                resolved <Ago instantMs={alert.resolvedAt} />
              </span>
            ),
        },
        { title: "Began", cell: (alert) => <Ago instantMs={alert.openedAt} /> },
        { title: "How many", cell: (alert) => alert.count },
        {
          title: "Last",
          cell: (alert) =>
            alert.runId === null ? (
              (alert.error ?? "–")
            ) : (
              <Link to="/runs/$id" params={{ id: alert.runId }} className="break-words text-accent underline">
                {alert.error === null || alert.error === "" ? "the run" : errorSummary(alert.error).slice(0, 120)}
              </Link>
            ),
        },
      ]}
    />
  );
}
