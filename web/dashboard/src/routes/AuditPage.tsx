import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";

import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { Select } from "../components/ui/field";
import { AUDIT_ACTIONS, auditExport, auditQuery, changesOf, wordsOf, type AuditEntry } from "../services/audit";
import type { AuditSearch } from "./searches";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/settings/audit");

export function AuditPage() {
  useTitle("Audit log");
  const { tenant } = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const filter = {
    action: search.action ?? null,
    initiator: search.who ?? null,
    object: search.what ?? null,
    refused: search.refused ?? false,
  };
  const entries = useInfiniteQuery(auditQuery(tenant.id, filter));
  const isFiltered = Object.keys(search).length > 0;

  function refine(change: Partial<Record<keyof AuditSearch, unknown>>): void {
    const next = Object.entries({ ...search, ...change }).filter(([, value]) => value !== undefined && value !== "" && value !== false);
    void navigate({ search: Object.fromEntries(next) as AuditSearch });
  }

  return (
    <>
      <PageHeader title="Audit log" docs="audit">
        <a
          href={auditExport(tenant.id, filter)}
          download="audit.jsonl"
          className="inline-flex h-9 items-center rounded-md border border-line bg-card px-3 text-sm font-medium hover:bg-sunken"
        >
          Export as JSON Lines
        </a>
      </PageHeader>
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <Select
          aria-label="Action"
          className="w-auto max-w-full"
          value={search.action ?? ""}
          onChange={({ target }) => refine({ action: target.value })}
        >
          <option value="">Every action</option>
          {AUDIT_ACTIONS.map((action) => (
            <option key={action} value={action}>
              {wordsOf(action)}
            </option>
          ))}
        </Select>
        <label className="flex items-center gap-2 text-sm">
          <input type="checkbox" checked={search.refused ?? false} onChange={({ target }) => refine({ refused: target.checked })} />
          Only what was refused
        </label>
        {search.who !== undefined && <Button onClick={() => refine({ who: undefined })}>Show everybody’s</Button>}
        {search.what !== undefined && <Button onClick={() => refine({ what: undefined })}>Show what was done to everything</Button>}
      </div>
      <PagedTable
        label="Audit log"
        query={entries}
        keyOf={(entry) => entry.id}
        empty={
          <Notice
            title={isFiltered ? "Nothing like this was done" : "Nobody has changed anything yet"}
            action={isFiltered && <Button onClick={() => void navigate({ search: {} })}>Show everything</Button>}
          />
        }
        columns={[
          { title: "When", cell: (entry) => <LocalTime instantMs={entry.at} /> },
          { title: "Who", cell: (entry) => <Who entry={entry} onChoose={(who) => refine({ who })} /> },
          { title: "Action", cell: (entry) => <span className="md:whitespace-nowrap">{wordsOf(entry.action)}</span> },
          { title: "What", cell: (entry) => <What entry={entry} onChoose={(what) => refine({ what })} /> },
          { title: "Change", cell: (entry) => <Changes entry={entry} /> },
        ]}
      />
    </>
  );
}

/** Names are long texts without a blank: they break where they must, and not before there is no room. */
const NAME = "wrap-anywhere md:inline-block md:min-w-40";

function Who({ entry: { initiator }, onChoose }: { entry: AuditEntry; onChoose: (id: string) => void }) {
  const { id } = initiator;
  return (
    <>
      {id === null ? (
        <span className={NAME}>{initiator.name}</span>
      ) : (
        <button type="button" className={`${NAME} text-left text-accent underline`} title="Show only theirs" onClick={() => onChoose(id)}>
          {initiator.name}
        </button>
      )}
      {initiator.kind === "CLI" && <span className="text-ink-soft"> on the command line</span>}
      {initiator.address !== null && <span className="block text-xs text-ink-soft">from {initiator.address}</span>}
    </>
  );
}

function What({ entry: { object }, onChoose }: { entry: AuditEntry; onChoose: (id: string) => void }) {
  const { id } = object;
  const name = object.name ?? id;
  if (name === null) return "–";
  if (id === null) return <span className={NAME}>{name}</span>;
  return (
    <button type="button" className={`${NAME} text-left text-accent underline`} title="Show only what was done to it" onClick={() => onChoose(id)}>
      {name}
    </button>
  );
}

function Changes({ entry }: { entry: AuditEntry }) {
  if (entry.refusal !== null) return <span className="text-failed">Refused: {entry.refusal}</span>;
  const changes = changesOf(entry);
  return (
    <dl className="space-y-0.5 text-xs">
      {changes.map(({ name, before, after }) => (
        <div key={name} className="flex flex-wrap gap-x-1.5">
          <dt className="text-ink-soft">{name}</dt>
          <dd className="break-all">
            {before !== null && after !== null ? (
              <>
                {before} → {after}
              </>
            ) : after === null ? (
              <del>{before}</del>
            ) : (
              after
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}
