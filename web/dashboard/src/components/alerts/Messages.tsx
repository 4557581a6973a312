/** What was sent to channels, and what came of it. */
import { useInfiniteQuery } from "@tanstack/react-query";

import { alertDeliveriesQuery, type AlertDelivery } from "../../services/alerts";
import { Notice } from "../Notice";
import { PagedTable } from "../PagedTable";
import { Ago } from "../Times";

export function Messages({ tenantId }: { tenantId: string }) {
  const messages = useInfiniteQuery(alertDeliveriesQuery(tenantId));
  return (
    <PagedTable
      label="Messages"
      query={messages}
      keyOf={(message) => message.id}
      empty={<Notice title="No messages yet" />}
      columns={[
        { title: "Message", cell: (message) => message.title },
        { title: "Channel", cell: (message) => message.channel ?? "a channel that is gone" },
        { title: "When", cell: (message) => <Ago instantMs={message.createdAt} /> },
        { title: "Came of it", cell: (message) => <Outcome message={message} /> },
      ]}
    />
  );
}

function Outcome({ message }: { message: AlertDelivery }) {
  const tries = message.attempts === 1 ? "1 attempt" : `${String(message.attempts)} attempts`;
  return (
    <>
      {message.status === "DELIVERED" && (message.attempts > 1 ? `taken after ${tries}` : "taken")}
      {message.status === "WAITING" && (message.attempts === 0 ? "waits" : `tried again soon, after ${tries}`)}
      {message.status === "FAILED" && <span className="font-medium text-failed">given up after {tries}</span>}
      {message.error !== null && <span className="block text-xs break-words text-ink-soft">{message.error}</span>}
    </>
  );
}
