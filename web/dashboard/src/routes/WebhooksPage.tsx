import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { CopyButton } from "../components/CopyButton";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { Ago } from "../components/Times";
import { Button } from "../components/ui/button";
import { CreateWebhook } from "../components/webhooks/CreateWebhook";
import { EditWebhook } from "../components/webhooks/EditWebhook";
import { SOURCES } from "../components/webhooks/sources";
import { deleteWebhook, webhookFailuresQuery, webhooksQuery, webhookUrl, type Webhook } from "../services/events";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

export function WebhooksPage() {
  useTitle("Webhooks");
  const { tenant } = useSession();
  const client = useQueryClient();
  const webhooks = useInfiniteQuery(webhooksQuery(tenant.id));
  const failures = useInfiniteQuery(webhookFailuresQuery(tenant.id));
  const [creates, setCreates] = useState(false);
  const [edits, setEdits] = useState<Webhook | null>(null);
  const refresh = () => void client.invalidateQueries({ queryKey: ["webhooks"] });

  return (
    <>
      <PageHeader title="Webhooks" docs="webhooks">
        <Button variant="primary" needs="createWebhook" onClick={() => setCreates(true)}>
          Create a webhook
        </Button>
      </PageHeader>
      <PagedTable
        label="Webhooks"
        query={webhooks}
        keyOf={(webhook) => webhook.metadata.id}
        empty={
          <Notice title="No webhooks">
            <p>By a webhook another service pushes events: GitHub, Stripe, Slack, Linear, or whoever can send a request.</p>
          </Notice>
        }
        columns={[
          { title: "Name", cell: (webhook) => webhook.name },
          { title: "Source", cell: (webhook) => SOURCES[webhook.sourceName].label },
          { title: "Event key", cell: (webhook) => <code className="font-mono text-xs break-all">{webhook.eventKeyExpression}</code> },
          {
            title: "Address",
            cell: (webhook) => (
              <span className="flex items-start gap-2">
                <code className="min-w-0 font-mono text-xs break-all">{webhookUrl(tenant.id, webhook.name)}</code>
                <CopyButton label={`address of ${webhook.name}`} text={webhookUrl(tenant.id, webhook.name)} />
              </span>
            ),
          },
          {
            title: "Actions",
            isUntitled: true,
            cell: (webhook) => (
              <div className="flex justify-end gap-1.5">
                <Button size="small" needs="changeWebhook" aria-label={`Edit ${webhook.name}`} onClick={() => setEdits(webhook)}>
                  Edit
                </Button>
                <ConfirmButton
                  label="Delete"
                  needs="deleteWebhook"
                  accessibleName={`Delete ${webhook.name}`}
                  title={`Delete the webhook ${webhook.name}?`}
                  confirm="Delete it"
                  act={() => deleteWebhook(tenant.id, webhook.name)}
                  onDone={refresh}
                >
                  <p>Requests to its address are refused from now on. Its secret is forgotten.</p>
                </ConfirmButton>
              </div>
            ),
          },
        ]}
      />
      <h2 className="mt-6 mb-3 text-base font-semibold">Refused requests</h2>
      <PagedTable
        label="Refused requests"
        query={failures}
        keyOf={(failure) => `${failure.webhookName}-${failure.at}-${failure.message}`}
        empty={<p className="px-6 py-8 text-sm text-ink-soft">No request was refused.</p>}
        columns={[
          { title: "Webhook", cell: (failure) => failure.webhookName },
          { title: "Why", cell: (failure) => failure.message },
          { title: "When", cell: (failure) => <Ago instantMs={failure.at} /> },
        ]}
      />
      {edits !== null && <EditWebhook tenantId={tenant.id} webhook={edits} onClose={() => setEdits(null)} />}
      {creates && <CreateWebhook tenantId={tenant.id} onClose={() => setCreates(false)} />}
    </>
  );
}
