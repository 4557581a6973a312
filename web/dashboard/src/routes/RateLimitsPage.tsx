import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { RateLimitDialog } from "../components/RateLimitDialog";
import { CountOfUsers, RateLimitUsers } from "../components/RateLimitUsers";
import { SearchBox } from "../components/SearchBox";
import { Ago, LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { deleteRateLimit, rateLimitsQuery, type RateLimit } from "../services/limits";
import { useNowMs } from "../time/now";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/rate-limits");

export function RateLimitsPage() {
  useTitle("Rate limits");
  const { tenant } = useSession();
  const { search = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const client = useQueryClient();
  const [edits, setEdits] = useState<RateLimit | "new" | null>(null);
  const [used, setUsed] = useState<string | null>(null);
  const now = useNowMs();
  const limits = useInfiniteQuery(rateLimitsQuery(tenant.id, search));
  return (
    <>
      <PageHeader title="Rate limits" docs="flow-control#rate-limits">
        <SearchBox
          label="Find by key"
          value={search}
          onChange={(text) => void navigate({ search: text === "" ? {} : { search: text }, replace: true })}
        />
        <Button variant="primary" needs="putRateLimit" onClick={() => setEdits("new")}>
          Create a rate limit
        </Button>
      </PageHeader>
      <PagedTable
        label="Rate limits"
        query={limits}
        keyOf={(limit) => limit.key}
        empty={
          search === "" ? (
            <Notice title="No rate limits">
              <p>
                A limit appears here when code declares one with <code className="font-mono text-xs">rate_limits.put</code>, or when a task
                with a dynamic limit runs.
              </p>
            </Notice>
          ) : (
            <Notice title={`No limit has “${search}” in its key`} />
          )
        }
        columns={[
          { title: "Key", cell: (limit) => <code className="font-mono text-xs break-all">{limit.key}</code> },
          {
            title: "Left",
            cell: (limit) => (
              <span className="tabular-nums">
                {limit.value.toLocaleString()} of {limit.limitValue.toLocaleString()}
              </span>
            ),
          },
          { title: "Window", cell: (limit) => limit.window.toLowerCase() },
          { title: "Last refill", cell: (limit) => <Ago instantMs={limit.lastRefill} /> },
          {
            title: "State",
            cell: (limit) =>
              limit.pausedUntil !== null && limit.pausedUntil > now ? (
                <span className="text-cancelled">
                  paused until <LocalTime instantMs={limit.pausedUntil} />
                </span>
              ) : (
                "open"
              ),
          },
          {
            title: "Actions",
            isUntitled: true,
            cell: (limit) => (
              <div className="flex flex-wrap justify-end gap-1.5">
                <Button size="small" aria-label={`Used by: ${limit.key}`} onClick={() => setUsed(limit.key)}>
                  Used by
                </Button>
                <Button size="small" needs="putRateLimit" aria-label={`Change ${limit.key}`} onClick={() => setEdits(limit)}>
                  Change
                </Button>
                <ConfirmButton
                  label="Delete"
                  needs="deleteRateLimit"
                  accessibleName={`Delete ${limit.key}`}
                  title={`Delete the limit ${limit.key}?`}
                  confirm="Delete it"
                  act={() => deleteRateLimit(tenant.id, limit.key)}
                  onDone={() => void client.invalidateQueries({ queryKey: ["rate-limits"] })}
                >
                  <p>
                    <CountOfUsers tenantId={tenant.id} limitKey={limit.key} /> Tasks that ask for it wait until it is put again; a dynamic limit comes
                    back with the next task that names it.
                  </p>
                </ConfirmButton>
              </div>
            ),
          },
        ]}
      />
      {used !== null && <RateLimitUsers tenantId={tenant.id} limitKey={used} onClose={() => setUsed(null)} />}
      {edits !== null && (
        <RateLimitDialog tenantId={tenant.id} limit={edits === "new" ? null : edits} onClose={() => setEdits(null)} />
      )}
    </>
  );
}
