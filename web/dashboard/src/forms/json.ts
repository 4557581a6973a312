/**
 * JSON texts and what is wrong with them, in words for the person who wrote them.
 *
 * A complaint has the path of the value it is about, so that a generated form shows it at the field, an editor at the
 * line, and a plain text field in a sentence. Pure; knows no component.
 */
import { Validator, type OutputUnit } from "@cfworker/json-schema";

export type JsonObject = Readonly<Record<string, unknown>>;

export interface Complaint {
  /** From the outside in; empty for the value as a whole. */
  readonly path: readonly string[];
  readonly message: string;
}

export interface Checked {
  readonly value: JsonObject | null;
  /** Why there is no value, in one sentence. */
  readonly problem: string | null;
}

/** Reads a text as a JSON object; with a schema, as one that it allows. An empty text is the empty object. */
export function checkJson(text: string, schema: JsonObject | null = null): Checked {
  const read = readObject(text);
  if (read.value === null) return read;
  const first = schema === null ? undefined : complaintsAbout(read.value, schema)[0];
  return first === undefined ? read : { value: null, problem: sentence(first) };
}

/** Reads a text as a JSON object, whatever is in it. */
export function readObject(text: string): Checked {
  if (text.trim() === "") return { value: {}, problem: null };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { value: null, problem: describeSyntax(text, error) };
  }
  if (!isObject(value)) return { value: null, problem: 'Give an object, such as {"name": "Ada"}.' };
  return { value, problem: null };
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function sentence({ path, message }: Complaint): string {
  return path.length === 0 ? message : `${path.join(".")}: ${message}`;
}

function describeSyntax(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : "not JSON";
  const position = /position (\d+)/.exec(message)?.[1];
  if (position === undefined) return `This is not JSON: ${message}`;
  const line = text.slice(0, Number(position)).split("\n").length;
  return `This is not JSON (line ${line}): ${message.replace(/ \(line.*\)$/, "")}`;
}

/** Keywords that only say that something inside them is wrong; what that is stands beside them. */
const AROUND = new Set([
  "$ref",
  "$dynamicRef",
  "$recursiveRef",
  "additionalItems",
  "additionalProperties",
  "allOf",
  "anyOf",
  "dependentSchemas",
  "if",
  "items",
  "oneOf",
  "patternProperties",
  "prefixItems",
  "properties",
  "unevaluatedItems",
  "unevaluatedProperties",
]);

const PER_PATH_MAX = 2;

/** What a schema has against a value; nothing when it allows it, or is itself not one that can be read. */
export function complaintsAbout(value: unknown, schema: JsonObject): readonly Complaint[] {
  let result;
  try {
    result = new Validator(schema, "2020-12", false).validate(value);
  } catch {
    // A pattern or a reference that means nothing here: the worker that registered the schema has the last word.
    return [];
  }
  if (result.valid) return [];
  const inner = result.errors.filter((error) => !AROUND.has(error.keyword));
  const byPath = new Map<string, { path: readonly string[]; expected: Set<string>; actual: string; messages: Set<string> }>();
  for (const error of inner.length > 0 ? inner : result.errors) {
    const path = pathOf(error);
    const key = JSON.stringify(path);
    const known = byPath.get(key) ?? { path, expected: new Set(), actual: "", messages: new Set() };
    byPath.set(key, known);
    const types = /^Instance type "(\w+)" is invalid\. Expected "(.+)"\.$/.exec(error.error);
    if (types === null) known.messages.add(wordsFor(error));
    else {
      known.actual = types[1] ?? "";
      for (const type of (types[2] ?? "").split('", "')) known.expected.add(type);
    }
  }
  return [...byPath.values()].flatMap(({ path, expected, actual, messages }) => [
    ...(expected.size === 0 ? [] : [{ path, message: `Must be ${[...expected].join(" or ")}, not ${actual}.` }]),
    ...[...messages].slice(0, PER_PATH_MAX).map((message) => ({ path, message })),
  ]);
}

function pathOf(error: OutputUnit): readonly string[] {
  const path = error.instanceLocation
    .replace(/^#\/?/, "")
    .split("/")
    .filter((part) => part !== "")
    .map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"));
  // What is missing is shown where it is missed.
  const missing = error.keyword === "required" ? /"(.*)"\.$/.exec(error.error)?.[1] : undefined;
  return missing === undefined ? path : [...path, missing];
}

function wordsFor({ keyword, error }: OutputUnit): string {
  switch (keyword) {
    case "required":
      return "Is missing.";
    case "false":
      return "Is not known to the schema.";
    case "enum":
      return `Must be one of ${error.replace(/^.* any of \[(.*)\]\.$/, "$1").replaceAll(",", ", ")}.`;
    case "const":
      return `Must be ${error.replace(/^Instance does not match (.*)\.$/, "$1")}.`;
    default:
      return error.replace(/^Instance /, "It ");
  }
}

/** What an input of this schema begins with: its defaults, and what can be nothing else. */
export function beginningOf(schema: JsonObject | null): JsonObject {
  const value = schema === null ? {} : beginningOfPart(schema, schema, 0);
  return isObject(value) ? value : {};
}

const DEPTH_MAX = 8;

function beginningOfPart(schema: JsonObject, root: JsonObject, depth: number): unknown {
  if (schema["default"] !== undefined) return schema["default"];
  if (schema["const"] !== undefined) return schema["const"];
  if (depth > DEPTH_MAX) return undefined;
  const target = typeof schema["$ref"] === "string" ? definitionOf(schema["$ref"], root) : null;
  if (target !== null) return beginningOfPart(target, root, depth + 1);
  switch (schema["type"]) {
    // A box without a tick says no, and a list without entries is a list: only texts and numbers can be left open.
    case "boolean":
      return false;
    case "array":
      return [];
    case "object":
      return beginningOfObject(schema, root, depth);
    default:
      return isObject(schema["properties"]) ? beginningOfObject(schema, root, depth) : undefined;
  }
}

function beginningOfObject(schema: JsonObject, root: JsonObject, depth: number): JsonObject {
  const required = Array.isArray(schema["required"]) ? (schema["required"] as readonly unknown[]) : [];
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const entries = Object.entries(properties).flatMap(([name, part]) => {
    if (!isObject(part) || !(required.includes(name) || part["default"] !== undefined)) return [];
    const value = beginningOfPart(part, root, depth + 1);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(entries);
}

/** What `#/$defs/Name` stands for, where it is in the same schema. */
export function definitionOf(reference: string, root: JsonObject): JsonObject | null {
  if (!reference.startsWith("#/")) return null;
  let part: unknown = root;
  for (const name of reference.slice(2).split("/")) {
    part = isObject(part) ? part[name.replaceAll("~1", "/").replaceAll("~0", "~")] : undefined;
  }
  return isObject(part) ? part : null;
}
