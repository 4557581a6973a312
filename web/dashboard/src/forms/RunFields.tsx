/** What every run is given, whoever starts it and when: its input, its metadata and its priority. */
import { useState } from "react";

import { JsonField } from "../components/JsonField";
import { Field, Select } from "../components/ui/field";
import { InputEditor } from "./InputEditor";
import { beginningOf, checkJson, type JsonObject } from "./json";

export interface RunGiven {
  readonly input: JsonObject;
  readonly additionalMetadata: JsonObject;
  /** Null: as the workflow says. */
  readonly priority: number | null;
}

type Name = "input" | "additionalMetadata" | "priority";

export interface RunFieldsState {
  readonly schema: JsonObject | null;
  readonly inputText: string;
  readonly setInputText: (text: string) => void;
  readonly metadataText: string;
  readonly setMetadataText: (text: string) => void;
  readonly priority: string;
  readonly setPriority: (priority: string) => void;
  readonly problems: Readonly<Record<Name, string | null>>;
  /** To be sent; only when there are no problems. */
  readonly given: RunGiven;
}

export function useRunFields(schema: JsonObject | null, first: Partial<RunGiven>): RunFieldsState {
  const [inputText, setInputText] = useState(() => JSON.stringify(first.input ?? beginningOf(schema), null, 2));
  const [metadataText, setMetadataText] = useState(() => {
    const metadata = first.additionalMetadata ?? {};
    return Object.keys(metadata).length === 0 ? "" : JSON.stringify(metadata);
  });
  const [priority, setPriority] = useState(() => String(first.priority ?? ""));
  const input = checkJson(inputText, schema);
  const metadata = checkJson(metadataText);
  return {
    schema,
    inputText,
    setInputText,
    metadataText,
    setMetadataText,
    priority,
    setPriority,
    problems: { input: input.problem, additionalMetadata: metadata.problem, priority: null },
    given: {
      input: input.value ?? {},
      additionalMetadata: metadata.value ?? {},
      priority: priority === "" ? null : Number(priority),
    },
  };
}

export function RunFields({ state, problemAt }: { state: RunFieldsState; problemAt: (name: Name) => string | null }) {
  return (
    <>
      <InputEditor schema={state.schema} text={state.inputText} problem={problemAt("input")} onChange={state.setInputText} />
      <div className="grid gap-x-5 md:grid-cols-2">
        <JsonField
          label="Metadata"
          text={state.metadataText}
          problem={problemAt("additionalMetadata")}
          onChange={state.setMetadataText}
          rows={2}
          hint='Key-value pairs to find the run by, for example {"customer": "acme"}.'
        />
        <Field label="Priority" error={problemAt("priority")}>
          {(props) => (
            <Select {...props} value={state.priority} onChange={(event) => state.setPriority(event.target.value)}>
              <option value="">As the workflow says</option>
              <option value="1">Low</option>
              <option value="2">Medium</option>
              <option value="3">High</option>
            </Select>
          )}
        </Field>
      </div>
    </>
  );
}
