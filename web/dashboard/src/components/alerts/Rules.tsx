import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";

import { ALERT_KINDS, alertRulesQuery, boundOf, deleteRule, enableRule, kindLabel, type AlertChannel, type AlertRule } from "../../services/alerts";
import { ConfirmButton } from "../ConfirmButton";
import { Notice, Refusal } from "../Notice";
import { PagedTable } from "../PagedTable";
import { Button } from "../ui/button";

function watchedBy(rule: AlertRule): string {
  if (ALERT_KINDS.find((known) => known.kind === rule.kind)?.isOfWorkflows === false) return kindLabel(rule.kind);
  return `${kindLabel(rule.kind)}: ${rule.workflow === "" ? "every workflow" : rule.workflow}`;
}

export function Rules({ tenantId, manages, channels, onEdit }: { tenantId: string; manages: boolean; channels: readonly AlertChannel[]; onEdit: (rule: AlertRule) => void }) {
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
