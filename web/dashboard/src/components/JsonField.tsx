/** A field for a JSON object. What is wrong with the text is said with its line, and nothing wrong gets out. */
import { Validator } from "@cfworker/json-schema";

import { Field, TextArea } from "./ui/field";

export type JsonObject = Readonly<Record<string, unknown>>;

export interface Checked {
  readonly value: JsonObject | null;
  /** Why there is no value. */
  readonly problem: string | null;
}

/** Reads a text as a JSON object; with a schema, as one that it allows. An empty text is the empty object. */
export function checkJson(text: string, schema: JsonObject | null = null): Checked {
  if (text.trim() === "") return checkAgainst({}, schema);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { value: null, problem: describeSyntax(text, error) };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { value: null, problem: 'Give an object, such as {"name": "Ada"}.' };
  }
  return checkAgainst(value as JsonObject, schema);
}

function checkAgainst(value: JsonObject, schema: JsonObject | null): Checked {
  if (schema === null) return { value, problem: null };
  const result = new Validator(schema, "2020-12", false).validate(value);
  // The last complaint is the innermost: the one about the value itself and not about what it is in.
  const complaint = result.errors.at(-1);
  if (result.valid || complaint === undefined) return { value, problem: null };
  const where = complaint.instanceLocation.replace(/^#\/?/, "").replaceAll("/", ".");
  return { value: null, problem: `${where === "" ? "The input" : where}: ${complaint.error}` };
}

function describeSyntax(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : "not JSON";
  const position = /position (\d+)/.exec(message)?.[1];
  if (position === undefined) return `This is not JSON: ${message}`;
  const line = text.slice(0, Number(position)).split("\n").length;
  return `This is not JSON (line ${line}): ${message.replace(/ \(line.*\)$/, "")}`;
}

/** A first text for an input of this schema: what is required, with defaults where it names them. */
export function exampleOf(schema: JsonObject | null): string {
  return schema === null ? "{}" : JSON.stringify(exampleValue(schema, 0), null, 2);
}

function exampleValue(schema: JsonObject, depth: number): unknown {
  if ("default" in schema) return schema["default"];
  const examples = schema["examples"];
  if (Array.isArray(examples) && examples.length > 0) return examples[0] as unknown;
  const choices = schema["enum"];
  if (Array.isArray(choices) && choices.length > 0) return choices[0] as unknown;
  switch (schema["type"]) {
    case "string":
      return "";
    case "integer":
    case "number":
      return 0;
    case "boolean":
      return false;
    case "array":
      return [];
    case "object": {
      if (depth > 4) return {};
      const properties = (schema["properties"] ?? {}) as Readonly<Record<string, JsonObject>>;
      return Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, exampleValue(part, depth + 1)]));
    }
    default:
      return null;
  }
}

export function JsonField({
  label,
  text,
  problem,
  onChange,
  hint,
  rows = 8,
}: {
  label: string;
  text: string;
  problem: string | null;
  onChange: (text: string) => void;
  hint?: string;
  rows?: number;
}) {
  return (
    <Field label={label} error={problem} {...(hint === undefined ? {} : { hint })}>
      {(props) => <TextArea {...props} rows={rows} value={text} onChange={(event) => onChange(event.target.value)} />}
    </Field>
  );
}
