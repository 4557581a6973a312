/** Searches with a name, and their columns. They are kept in this browser, for each tenant. */
import { useState } from "react";
import { z } from "zod";

import { runsSearchSchema, type RunsSearch } from "../../routes/searches";
import { ConfirmButton } from "../ConfirmButton";
import { FormDialog } from "../FormDialog";
import { keep, kept } from "../kept";
import { Button } from "../ui/button";
import { Field, Input, Select } from "../ui/field";

const VIEWS_MAX = 50;
const viewSchema = z.object({ name: z.string(), search: runsSearchSchema, columns: z.array(z.string()) });
export type SavedView = z.output<typeof viewSchema>;

const keyOf = (tenantId: string) => `broadaxe.runs.views.${tenantId}`;

function readViews(tenantId: string): readonly SavedView[] {
  try {
    return z.array(viewSchema).parse(JSON.parse(kept(keyOf(tenantId)) ?? "[]"));
  } catch {
    // Of another version, or written by hand; the next one that is saved begins anew.
    return [];
  }
}

export function SavedViews({
  tenantId,
  search,
  columns,
  onOpen,
}: {
  tenantId: string;
  search: RunsSearch;
  columns: readonly string[];
  /** Null is the list as it is without a view. */
  onOpen: (view: SavedView | null) => void;
}) {
  const [views, setViews] = useState(() => readViews(tenantId));
  const [asks, setAsks] = useState(false);
  const shown = { ...search, peek: undefined };
  const current = views.find((view) => same(view.search, shown) && same(view.columns, columns));

  function write(next: readonly SavedView[]): void {
    setViews(next);
    keep(keyOf(tenantId), next.length === 0 ? null : JSON.stringify(next));
  }

  return (
    <div className="flex flex-wrap items-center gap-2">
      {views.length > 0 && (
        <Select
          aria-label="Saved view"
          className="h-6 w-auto max-w-48 text-xs"
          value={current?.name ?? ""}
          onChange={(event) => onOpen(views.find((view) => view.name === event.target.value) ?? null)}
        >
          <option value="">No saved view</option>
          {views.map((view) => (
            <option key={view.name} value={view.name}>
              {view.name}
            </option>
          ))}
        </Select>
      )}
      {current === undefined ? (
        <Button size="small" onClick={() => setAsks(true)}>
          Save view…
        </Button>
      ) : (
        <ConfirmButton
          label={`Forget view ${current.name}`}
          needs={null}
          title={`Forget the view ${current.name}?`}
          confirm="Forget it"
          act={() => Promise.resolve()}
          onDone={() => write(views.filter((view) => view !== current))}
        >
          <p>1 view is forgotten in this browser. The runs that it shows stay as they are.</p>
        </ConfirmButton>
      )}
      {asks && (
        <SaveDialog
          isFull={views.length >= VIEWS_MAX}
          onClose={() => setAsks(false)}
          onSave={(name) => {
            write([...views.filter((view) => view.name !== name), { name, search: shown, columns: [...columns] }]);
            setAsks(false);
          }}
        />
      )}
    </div>
  );
}

function SaveDialog({ isFull, onClose, onSave }: { isFull: boolean; onClose: () => void; onSave: (name: string) => void }) {
  const [name, setName] = useState("");
  const wrong = name.trim() === "" ? "Give the view a name." : isFull ? `There are ${VIEWS_MAX} views already; forget one of them first.` : null;
  return (
    <FormDialog
      title="Save this view"
      onClose={onClose}
      problems={{ name: wrong }}
      act={() => Promise.resolve()}
      submit="Save"
      submitting="Saving…"
      onDone={() => onSave(name.trim())}
    >
      {(problemAt) => (
        <Field
          label="Name"
          hint="Search, time range, order and columns are kept in this browser only. To share them, share the address. An equal name is replaced."
          error={problemAt("name")}
        >
          {(props) => <Input {...props} maxLength={60} value={name} onChange={(event) => setName(event.target.value)} />}
        </Field>
      )}
    </FormDialog>
  );
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .toSorted(([one], [other]) => one.localeCompare(other)),
  );
}
