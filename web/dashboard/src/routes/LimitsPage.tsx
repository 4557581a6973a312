import { useQuery } from "@tanstack/react-query";

import { CodeBlock } from "../components/CodeBlock";
import { ErrorNotice, Loading, StaleBanner } from "../components/Notice";
import { PageHeader } from "../components/PageHeader";
import { LocalTime } from "../components/Times";
import { Card, CardHeader } from "../components/ui/card";
import { tenantLimitsQuery, type TenantLimit } from "../services/tenants";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const NAMES: Readonly<Record<string, string>> = {
  TASK_RUN: "Task runs",
  EVENT: "Events",
  WORKER: "Workers",
  WORKER_SLOT: "Worker slots",
  INCOMING_WEBHOOK: "Webhooks",
};

export function LimitsPage() {
  useTitle("Limits");
  const { tenant } = useSession();
  const query = useQuery(tenantLimitsQuery(tenant.id));
  return (
    <>
      <PageHeader title="Limits" docs="configuration#limits-of-a-tenant" />
      {query.data === undefined ? (
        <Card>
          {query.error ? <ErrorNotice error={query.error} onRetry={() => void query.refetch()} /> : <Loading label="Loading limits…" />}
        </Card>
      ) : (
        <>
          {query.error !== null && <StaleBanner error={query.error} />}
          <p className="mb-4 text-sm">
            {query.data.isEnforced ? (
              "The engine enforces these limits: what goes beyond one is refused whole and changes nothing."
            ) : (
              <>
                <strong>Not enforced.</strong> The engine was started without <code className="font-mono text-xs">--enforce-limits</code>, so
                nothing is refused; this is what would be held against the limits.
              </>
            )}
          </p>
          <Card aria-label="Limits and use">
            <ul>
              {query.data.limits.map((limit) => (
                <Standing key={limit.resource} limit={limit} isEnforced={query.data.isEnforced} />
              ))}
            </ul>
          </Card>
          <Card className="mt-6">
            <CardHeader title="How long history is kept" />
            <p className="p-4 text-sm">
              {query.data.retentionDays === 0
                ? "For ever: the engine was started with --retention-days 0."
                : `Finished runs with their history, events, log lines and spans are kept for ${query.data.retentionDays} days after they ended.`}{" "}
              The same holds for every tenant of this engine.
            </p>
          </Card>
          <Card className="mt-6">
            <CardHeader title="Change a limit" />
            <div className="space-y-3 p-4 text-sm">
              <p>Whoever runs the engine sets limits on its command line; running engines follow at once.</p>
              <CodeBlock wraps label="command" text={`broadaxe tenant limits ${tenant.slug} TASK_RUN=50000 EVENT=none`} />
            </div>
          </Card>
        </>
      )}
    </>
  );
}

function Standing({ limit, isEnforced }: { limit: TenantLimit; isEnforced: boolean }) {
  const name = NAMES[limit.resource] ?? limit.resource;
  const share = limit.limitValue === null ? 0 : limit.limitValue === 0 ? 1 : Math.min(1, limit.value / limit.limitValue);
  const isFull = limit.limitValue !== null && limit.value >= limit.limitValue;
  return (
    <li className="border-b border-line px-4 py-3 text-sm last:border-0">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <span className="font-medium">{name}</span>
        <span className={isFull && isEnforced ? "text-failed" : ""}>
          {limit.value.toLocaleString("en")}
          {limit.isMore && " or more"} {limit.limitValue === null ? "used, no limit" : `of ${limit.limitValue.toLocaleString("en")}`}
          {isFull && (isEnforced ? " · used up" : " · would be used up")}
        </span>
      </div>
      {limit.limitValue !== null && (
        <div className="mt-1.5 h-1.5 overflow-hidden rounded-full bg-sunken" aria-hidden="true">
          <div className={isFull ? "h-full bg-failed" : "h-full bg-accent"} style={{ width: `${share * 100}%` }} />
        </div>
      )}
      <p className="mt-1 text-xs text-ink-soft">
        {limit.window === null
          ? "Counted as it is now."
          : limit.lastRefill === null
            ? "Counted over 24 hours."
            : "Counted over 24 hours, since "}
        {limit.lastRefill !== null && <LocalTime instantMs={limit.lastRefill} />}
        {limit.isDefault ? " The default." : " Set for this tenant."}
      </p>
    </li>
  );
}
