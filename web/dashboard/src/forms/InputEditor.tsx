/**
 * The input of a run, as a form drawn from its schema and as JSON beside it. There is one value, the JSON text: what is
 * changed in the one is changed in the other. While the text is not JSON the form shows the last one that was, and waits.
 */
import { useMemo, useState } from "react";

import { useLoaded } from "../components/useLoaded";
import { drawable } from "./drawable";
import { complaintsAbout, readObject, type JsonObject } from "./json";
import { JsonEditor } from "./JsonEditor";

const loadForm = () => import("./SchemaForm");

export function InputEditor({
  schema,
  text,
  problem,
  onChange,
}: {
  schema: JsonObject | null;
  text: string;
  /** Null while nothing is to be complained about yet. */
  problem: string | null;
  onChange: (text: string) => void;
}) {
  const drawn = useMemo(() => drawable(schema), [schema]);
  const SchemaForm = useLoaded(loadForm, drawn !== null)?.SchemaForm;
  const { value } = readObject(text);
  const [lastRead, setLastRead] = useState<JsonObject>(value ?? {});
  if (value !== null && JSON.stringify(value) !== JSON.stringify(lastRead)) setLastRead(value);
  const isRead = value !== null;
  const complaints = useMemo(
    () => (problem === null || schema === null || !isRead ? [] : complaintsAbout(lastRead, schema)),
    [problem, schema, lastRead, isRead],
  );

  return (
    <div className={drawn === null ? "" : "grid gap-x-5 md:grid-cols-2"}>
      {drawn !== null && (
        <div role="group" aria-label="Input, as a form" className="min-w-0">
          {SchemaForm === undefined ? (
            <p role="status" className="py-4 text-sm text-ink-soft">
              Drawing the form…
            </p>
          ) : (
            <SchemaForm
              schema={drawn}
              value={lastRead}
              complaints={complaints}
              disabled={!isRead}
              onChange={(next) => onChange(JSON.stringify(next, null, 2))}
            />
          )}
        </div>
      )}
      <div className="min-w-0">
        <JsonEditor
          label={drawn === null ? "Input" : "Input, as JSON"}
          text={text}
          schema={schema}
          problem={problem}
          onChange={onChange}
          hint={schema === null ? "A JSON object. This workflow declares no schema for it." : "The same input. It is checked against the workflow’s schema."}
        />
      </div>
    </div>
  );
}
