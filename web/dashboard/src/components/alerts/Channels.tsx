import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { alertChannelsQuery, channelKindLabel, deleteChannel, testChannel, type AlertChannel } from "../../services/alerts";
import { ConfirmButton } from "../ConfirmButton";
import { Notice, Refusal } from "../Notice";
import { PagedTable } from "../PagedTable";
import { Button } from "../ui/button";

export function Channels({ tenantId, manages }: { tenantId: string; manages: boolean }) {
  const channels = useInfiniteQuery(alertChannelsQuery(tenantId));
  const client = useQueryClient();
  const [tested, setTested] = useState<string | null>(null);
  const testing = useMutation({
    mutationFn: (channel: AlertChannel) => testChannel(tenantId, channel.metadata.id),
    onSuccess: (_, channel) => setTested(channel.name),
    onSettled: () => void client.invalidateQueries({ queryKey: ["alert-deliveries"] }),
  });
  return (
    <>
      {testing.error !== null && <Refusal error={testing.error} className="mb-3" />}
      <p role="status" className="mb-3 text-sm empty:hidden">
        {tested !== null && testing.error === null && (
          <>
            A test is on its way to {tested}.{" "}
            <Link to="/settings/alerts" search={{ tab: "messages" }} className="text-accent underline">
              See what comes of it
            </Link>
          </>
        )}
      </p>
      <PagedTable
        label="Channels"
        query={channels}
        keyOf={(channel) => channel.metadata.id}
        empty={<Notice title="No channels" />}
        columns={[
          { title: "Name", cell: (channel) => channel.name },
          { title: "Kind", cell: (channel) => channelKindLabel(channel.kind) },
          { title: "Leads to", cell: (channel) => <code className="font-mono text-xs break-all">{channel.target}</code> },
          { title: "Rules", cell: (channel) => (channel.rules.length === 0 ? "none" : channel.rules.join(", ")) },
          {
            title: "Actions",
            isUntitled: true,
            cell: (channel) =>
              manages && (
                <div className="flex flex-wrap justify-end gap-1.5">
                  <Button size="small" needs="testAlertChannel" aria-label={`Test ${channel.name}`} disabled={testing.isPending} onClick={() => testing.mutate(channel)}>
                    Test
                  </Button>
                  <ConfirmButton
                    label="Delete"
                    needs="deleteAlertChannel"
                    accessibleName={`Delete ${channel.name}`}
                    title={`Delete the channel ${channel.name}?`}
                    confirm="Delete it"
                    act={() => deleteChannel(tenantId, channel.metadata.id)}
                    onDone={() => void client.invalidateQueries({ queryKey: ["alert-channels"] })}
                  >
                    <p>Messages that wait for it are given up. Its secret is forgotten.</p>
                  </ConfirmButton>
                </div>
              ),
          },
        ]}
      />
    </>
  );
}
