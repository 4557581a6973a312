import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";

import { ErrorGroupCard } from "../components/runs/ErrorGroupCard";
import { TimeRangeChoice } from "../components/runs/TimeRangeChoice";
import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { PageHeader } from "../components/PageHeader";
import { LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { Card } from "../components/ui/card";
import { errorGroupsQuery, replayGroup } from "../services/errorGroups";
import { timeOf } from "./runsAddress";
import { DEFAULT_WINDOW } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/errors");

export function ErrorsPage() {
  useTitle("Errors");
  const { tenant } = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const client = useQueryClient();
  const time = timeOf(search);
  const groups = useQuery(errorGroupsQuery(tenant.id, time.range));
  const [report, setReport] = useState("");

  async function replay(fingerprint: string): Promise<void> {
    const replayed = await replayGroup(tenant.id, fingerprint, time.range, (done, all) =>
      setReport(`${done.toLocaleString()} of ${all.toLocaleString()} replayed…`),
    ).catch((error: unknown) => {
      setReport("");
      throw error;
    });
    setReport(`${replayed.toLocaleString()} ${replayed === 1 ? "task was" : "tasks were"} replayed.`);
    void client.invalidateQueries({ queryKey: ["runs"] });
  }

  return (
    <>
      <PageHeader title="Errors" docs="console#errors">
        <TimeRangeChoice
          choice={time.choice}
          between={{ from: search.from, to: search.to }}
          onWindow={(window) => void navigate({ search: window === DEFAULT_WINDOW ? {} : { window } })}
          onBetween={({ from, to }) => void navigate({ search: { from, to } })}
        />
      </PageHeader>
      <p className="mb-4 max-w-prose text-sm text-ink-soft">
        Tasks that stand failed, together where the innermost line of their own code and the kind of error are the same. Lines of libraries and of
        the SDK do not count.
      </p>
      <p role="status" className="mb-2 text-sm empty:hidden">
        {report}
      </p>
      {groups.error !== null && groups.data !== undefined && <StaleBanner error={groups.error} />}
      {groups.data === undefined ? (
        <Card aria-label="Errors">
          {groups.error === null ? <Loading label="Loading errors…" /> : <ErrorNotice error={groups.error} onRetry={() => void groups.refetch()} />}
        </Card>
      ) : groups.data.rows.length === 0 ? (
        <Card aria-label="Errors">
          <Notice
            title={`Nothing stands failed ${time.words}`}
            action={time.choice !== "all" && <Button onClick={() => void navigate({ search: { window: "all" } })}>Look through all time</Button>}
          />
        </Card>
      ) : (
        <>
          <ol aria-label="Errors" className="space-y-3">
            {groups.data.rows.map((group) => (
              <li key={group.fingerprint}>
                <ErrorGroupCard group={group} onReplay={() => replay(group.fingerprint)} />
              </li>
            ))}
          </ol>
          <p className="mt-4 text-sm text-ink-soft">
            From {groups.data.tasksLookedAt.toLocaleString()} failed {groups.data.tasksLookedAt === 1 ? "task" : "tasks"}.{" "}
            {groups.data.oldestLookedAt !== null && (
              <>
                There may be more: these are the newest, back to <LocalTime instantMs={groups.data.oldestLookedAt} />. Choose an earlier time range
                for the others.
              </>
            )}
          </p>
        </>
      )}
    </>
  );
}
