import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";

import { ChannelDialog } from "../components/alerts/ChannelDialog";
import { Channels } from "../components/alerts/Channels";
import { History } from "../components/alerts/History";
import { Messages } from "../components/alerts/Messages";
import { RuleDialog } from "../components/alerts/RuleDialog";
import { Rules } from "../components/alerts/Rules";
import { useMay } from "../components/may";
import { PageHeader } from "../components/PageHeader";
import { Button } from "../components/ui/button";
import { Tabs } from "../components/ui/tabs";
import { alertChannelsQuery, type AlertRule } from "../services/alerts";
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
