import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { ChosenBar } from "../components/ChosenBar";
import { ConfirmButton } from "../components/ConfirmButton";
import { FormDialog } from "../components/FormDialog";
import { JsonField } from "../components/JsonField";
import { JsonViewer } from "../components/JsonViewer";
import { useMay } from "../components/may";
import { MetadataChips } from "../components/MetadataChips";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { SearchBox } from "../components/SearchBox";
import { Ago } from "../components/Times";
import { TimeWindowChoice } from "../components/TimeWindowChoice";
import { Button } from "../components/ui/button";
import { Dialog } from "../components/ui/dialog";
import { Field, Input } from "../components/ui/field";
import { checkJson } from "../forms/json";
import { forEachOf } from "../services/bulk";
import { eventsQuery, pushEvent, type PushedEvent } from "../services/events";
import { rowsIn } from "../services/pages";
import { formatLocal } from "../time/format";
import { DEFAULT_WINDOW, WINDOW_LABELS, WINDOW_MS, type EventsSearch } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/events");

export function EventsPage() {
  useTitle("Events");
  const { tenant } = useSession();
  const may = useMay();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [pushes, setPushes] = useState<Pick<PushedEvent, "key" | "payload" | "scope"> | null>(null);
  const client = useQueryClient();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [shown, setShown] = useState<PushedEvent | null>(null);
  const timeWindow = search.window ?? DEFAULT_WINDOW;
  const events = useInfiniteQuery(
    eventsQuery(tenant.id, {
      sinceMs: WINDOW_MS[timeWindow],
      key: search.key ?? null,
      scope: search.scope ?? null,
      metadata: search.metadata === undefined ? [] : [search.metadata],
    }),
  );
  async function pushAgain(id: string): Promise<void> {
    const event = events.data === undefined ? undefined : rowsIn(events.data).find((row) => row.metadata.id === id);
    if (event === undefined) return;
    await pushEvent(tenant.id, { key: event.key, data: event.payload, scope: event.scope, additionalMetadata: event.additionalMetadata });
  }

  const isFiltered = search.key !== undefined || search.scope !== undefined || search.metadata !== undefined;

  function refine(change: Partial<EventsSearch>): void {
    const next = { ...search, ...change };
    void navigate({
      search: Object.fromEntries(Object.entries(next).filter(([, value]) => value !== undefined && value !== "")) as EventsSearch,
      replace: true,
    });
  }

  return (
    <>
      <PageHeader title="Events" docs="triggers">
        <SearchBox label="Key" value={search.key ?? ""} onChange={(key) => refine({ key })} />
        <SearchBox label="Scope" value={search.scope ?? ""} onChange={(scope) => refine({ scope })} />
        <SearchBox label="Metadata, key:value" value={search.metadata ?? ""} onChange={(metadata) => refine({ metadata })} />
        <TimeWindowChoice value={timeWindow} onChange={(window) => refine({ window })} />
        <Button variant="primary" needs="pushEvent" onClick={() => setPushes({ key: "", payload: {}, scope: null })}>
          Push an event
        </Button>
      </PageHeader>
      <ChosenBar chosen={chosen} onChoose={setChosen}>
        <ConfirmButton
          label="Push again…"
          needs="pushEvent"
          accessibleName="Push the chosen events again"
          title={chosen.size === 1 ? "Push 1 event again?" : `Push ${chosen.size} events again?`}
          confirm={`Push ${chosen.size}`}
          act={() => forEachOf(chosen, pushAgain)}
          onDone={() => {
            setChosen(new Set());
            void client.invalidateQueries({ queryKey: ["events"] });
          }}
        >
          <p>Each comes as a new event with the same key, payload, scope and metadata, and starts whatever starts by it now.</p>
        </ConfirmButton>
      </ChosenBar>
      <PagedTable
        label="Events"
        {...(may("pushEvent") && {
          choosing: { chosen, onChoose: setChosen, nameOf: (event: PushedEvent) => `${event.key} at ${formatLocal(event.seenAt)}` },
        })}
        query={events}
        keyOf={(event) => event.metadata.id}
        empty={
          isFiltered ? (
            <Notice title="No event matches" action={<Button onClick={() => void navigate({ search: {} })}>Show all events</Button>} />
          ) : (
            <Notice title={`No events in the ${WINDOW_LABELS[timeWindow].toLowerCase()}`}>
              <p>An event starts every workflow that names its key. Push one from code, by a webhook, or here.</p>
            </Notice>
          )
        }
        columns={[
          {
            title: "Key",
            cell: (event) => (
              <button type="button" className="text-left break-all hover:text-accent hover:underline" onClick={() => setShown(event)}>
                {event.key}
              </button>
            ),
          },
          { title: "Seen", cell: (event) => <Ago instantMs={event.seenAt} /> },
          { title: "Scope", cell: (event) => event.scope ?? "–" },
          { title: "Runs", cell: (event) => <Runs event={event} /> },
          { title: "Metadata", cell: (event) => <MetadataChips metadata={event.additionalMetadata} /> },
          {
            title: "Push again",
            isUntitled: true,
            cell: (event) => (
              <Button size="small" needs="pushEvent" aria-label={`Push again: ${event.key}`} onClick={() => setPushes(event)}>
                Push again
              </Button>
            ),
          },
        ]}
      />
      {shown !== null && (
        <Dialog title={shown.key} onClose={() => setShown(null)} wide>
          <JsonViewer label="Payload" value={shown.payload} empty="This event carries nothing." />
          <p className="px-4 pt-2 text-sm">{shown.triggeredRuns.length === 0 ? "It started no run." : "Runs that it started:"}</p>
          <ul className="px-4 font-mono text-xs">
            {shown.triggeredRuns.map((run) => (
              <li key={run.workflowRunId}>
                <Link to="/runs/$id" params={{ id: run.workflowRunId }} className="break-all text-accent underline">
                  {run.workflowRunId}
                </Link>
              </li>
            ))}
          </ul>
        </Dialog>
      )}
      {pushes !== null && <PushDialog tenantId={tenant.id} first={pushes} onClose={() => setPushes(null)} />}
    </>
  );
}

function Runs({ event }: { event: PushedEvent }) {
  const [first, ...others] = event.triggeredRuns;
  if (first === undefined) return <span className="text-ink-soft">none</span>;
  return (
    <>
      <Link to="/runs/$id" params={{ id: first.workflowRunId }} className="text-accent underline">
        {others.length === 0 ? "1 run" : `First of ${others.length + 1} runs`}
      </Link>
      {event.triggeringWebhookName !== null && <span className="ml-2 text-ink-soft">by {event.triggeringWebhookName}</span>}
    </>
  );
}

function PushDialog({
  tenantId,
  first,
  onClose,
}: {
  tenantId: string;
  first: Pick<PushedEvent, "key" | "payload" | "scope">;
  onClose: () => void;
}) {
  const [key, setKey] = useState(first.key);
  const [scope, setScope] = useState(first.scope ?? "");
  const [text, setText] = useState(() => JSON.stringify(first.payload, null, 2));
  const checked = checkJson(text);
  return (
    <FormDialog
      title="Push an event"
      onClose={onClose}
      wide
      problems={{ key: key.trim() === "" ? "Give it a key." : null, scope: null, data: checked.problem }}
      act={() =>
        pushEvent(tenantId, { key: key.trim(), data: checked.value ?? {}, scope: scope === "" ? null : scope, additionalMetadata: {} })
      }
      submit="Push"
      submitting="Pushing…"
      touches={["events"]}
      done={(event) => ({
        title: `${key.trim()} was pushed`,
        content: (
          <p className="text-sm">
            {event.triggeredRuns.length === 0 ? "It started no run: no workflow waits for this key, or a filter refused it. " : "It started: "}
            <Runs event={event} />
          </p>
        ),
      })}
    >
      {(problemAt) => (
        <>
          <Field label="Key" hint="For example order:paid" error={problemAt("key")}>
            {(props) => <Input {...props} value={key} onChange={(event) => setKey(event.target.value)} />}
          </Field>
          <Field label="Scope" hint="Filters of other scopes do not see it. Leave it empty for none." error={problemAt("scope")}>
            {(props) => <Input {...props} value={scope} onChange={(event) => setScope(event.target.value)} />}
          </Field>
          <JsonField label="Payload" text={text} problem={problemAt("data")} onChange={setText} />
        </>
      )}
    </FormDialog>
  );
}
