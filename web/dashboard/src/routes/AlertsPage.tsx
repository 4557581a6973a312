import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { ChannelDialog } from "../components/alerts/ChannelDialog";
import { RuleDialog } from "../components/alerts/RuleDialog";
import { ConfirmButton } from "../components/ConfirmButton";
import { useMay } from "../components/may";
import { Notice, Refusal } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { Ago } from "../components/Times";
import { Button } from "../components/ui/button";
import { Tabs } from "../components/ui/tabs";
import {
  ALERT_KINDS,
  alertChannelsQuery,
  alertDeliveriesQuery,
  alertRulesQuery,
  alertsQuery,
  boundOf,
  channelKindLabel,
  deleteChannel,
  deleteRule,
  enableRule,
  kindLabel,
  testChannel,
  type AlertChannel,
  type AlertDelivery,
  type AlertRule,
} from "../services/alerts";
import { rowsIn } from "../services/pages";
import { ALERT_TABS } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/settings/alerts");
const TABS = ALERT_TABS.map((id) => ({ id, label: { history: "History", rules: "Rules", channels: "Channels", messages: "Messages" }[id] }));

export function AlertsPage() {
  useTitle("Alerts");
  const { tenant } = useSession();
  const { tab = "history" } = route.useSearch();
  const navigate = route.useNavigate();
  const channels = useInfiniteQuery(alertChannelsQuery(tenant.id));
  const known = channels.data === undefined ? null : rowsIn(channels.data);
  const [dialog, setDialog] = useState<"channel" | "rule" | AlertRule | null>(null);
  const manages = useMay()("createAlertChannel");
  return (
    <>
      <PageHeader title="Alerts" docs="alerts">
        <Button needs="createAlertChannel" onClick={() => setDialog("channel")}>
          Create a channel
        </Button>
        <Button variant="primary" needs="createAlertRule" disabled={known === null || known.length === 0} onClick={() => setDialog("rule")}>
          Create a rule
        </Button>
      </PageHeader>
      {known?.length === 0 && (
        <p className="mb-4 text-sm text-ink-soft">
          {manages ? "Begin with a channel: where messages are sent to. Then make a rule that says of what." : "Nobody is told of anything yet. An admin makes channels and rules."}
        </p>
      )}
      <Tabs label="Alerts" tabs={TABS} chosen={tab} onChoose={(next) => void navigate({ search: next === "history" ? {} : { tab: next } })}>
        <div className="pt-4">
          {tab === "history" && <History tenantId={tenant.id} />}
          {tab === "rules" && <Rules tenantId={tenant.id} manages={manages} channels={known ?? []} onEdit={setDialog} />}
          {tab === "channels" && <Channels tenantId={tenant.id} manages={manages} />}
          {tab === "messages" && <Messages tenantId={tenant.id} />}
        </div>
      </Tabs>
      {dialog === "channel" && <ChannelDialog tenantId={tenant.id} onClose={() => setDialog(null)} />}
      {dialog !== null && dialog !== "channel" && (
        <RuleDialog tenantId={tenant.id} rule={dialog === "rule" ? null : dialog} channels={known ?? []} onClose={() => setDialog(null)} />
      )}
    </>
  );
}

function History({ tenantId }: { tenantId: string }) {
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
              <span className="font-medium text-failed">goes on</span>
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
                {alert.error === null || alert.error === "" ? "the run" : alert.error.slice(0, 120)}
              </Link>
            ),
        },
      ]}
    />
  );
}

function watchedBy(rule: AlertRule): string {
  if (ALERT_KINDS.find((known) => known.kind === rule.kind)?.isOfWorkflows === false) return kindLabel(rule.kind);
  return `${kindLabel(rule.kind)} of ${rule.workflow === "" ? "every workflow" : rule.workflow}`;
}

function Rules({ tenantId, manages, channels, onEdit }: { tenantId: string; manages: boolean; channels: readonly AlertChannel[]; onEdit: (rule: AlertRule) => void }) {
  const rules = useInfiniteQuery(alertRulesQuery(tenantId));
  const client = useQueryClient();
  const refresh = () => void client.invalidateQueries({ queryKey: ["alert-rules"] });
  const turning = useMutation({ mutationFn: (rule: AlertRule) => enableRule(tenantId, rule.metadata.id, !rule.isEnabled), onSettled: refresh });
  const nameOf = (id: string) => channels.find((channel) => channel.metadata.id === id)?.name ?? id;
  return (
    <>
      {turning.error !== null && <Refusal error={turning.error} className="mb-3" />}
      <PagedTable
        label="Rules"
        query={rules}
        keyOf={(rule) => rule.metadata.id}
        empty={<Notice title="No rules" />}
        columns={[
          { title: "Name", cell: (rule) => rule.name },
          { title: "Watches", cell: watchedBy },
          { title: "Bound", cell: boundOf },
          { title: "Channels", cell: (rule) => rule.channels.map(nameOf).join(", ") },
          { title: "State", cell: (rule) => (rule.isEnabled ? (rule.firing > 0 ? <span className="font-medium text-failed">fires</span> : "watches") : "off") },
          {
            title: "Actions",
            isUntitled: true,
            cell: (rule) =>
              manages && (
                <div className="flex flex-wrap justify-end gap-1.5">
                  <Button size="small" needs="changeAlertRule" aria-label={`Edit ${rule.name}`} onClick={() => onEdit(rule)}>
                    Edit
                  </Button>
                  <Button size="small" needs="changeAlertRule" aria-label={`${rule.isEnabled ? "Turn off" : "Turn on"} ${rule.name}`} disabled={turning.isPending} onClick={() => turning.mutate(rule)}>
                    {rule.isEnabled ? "Turn off" : "Turn on"}
                  </Button>
                  <ConfirmButton label="Delete" needs="deleteAlertRule" accessibleName={`Delete ${rule.name}`} title={`Delete the rule ${rule.name}?`} confirm="Delete it" act={() => deleteRule(tenantId, rule.metadata.id)} onDone={refresh}>
                    <p>Nobody is told of what it watches any more. Its history stays.</p>
                  </ConfirmButton>
                </div>
              ),
          },
        ]}
      />
    </>
  );
}

function Channels({ tenantId, manages }: { tenantId: string; manages: boolean }) {
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

function Messages({ tenantId }: { tenantId: string }) {
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
