/**
 * A schema as a form can draw it: what may also be null is drawn as what it is otherwise.
 *
 * Schemas that come from types say `anyOf: [integer, null]` for everything optional, and a form that asks which of the two
 * it is to be helps nobody: an empty field is left out. The value is still checked against the schema as it was declared.
 */
import { isObject, type JsonObject } from "./json";

const DEPTH_MAX = 32;
const LISTS = ["anyOf", "oneOf", "allOf", "prefixItems"] as const;
const MAPS = ["properties", "$defs", "definitions", "patternProperties"] as const;
const PARTS = ["items", "additionalProperties", "then", "else"] as const;

/** Null for a schema whose value is not an object: an input is always one. */
export function drawable(schema: JsonObject | null): JsonObject | null {
  if (schema === null) return null;
  const hasShape = ["properties", "$ref", "anyOf", "oneOf", "allOf"].some((keyword) => keyword in schema);
  if (schema["type"] !== "object" && !hasShape) return null;
  return withoutNull(schema, 0);
}

function withoutNull(schema: JsonObject, depth: number): JsonObject {
  if (depth > DEPTH_MAX) return schema;
  let drawn: Record<string, unknown> = { ...schema };
  const other = theOther(drawn["anyOf"]) ?? theOther(drawn["oneOf"]);
  if (other !== null) {
    const own = Object.entries(drawn).filter(([keyword]) => keyword !== "anyOf" && keyword !== "oneOf");
    drawn = { ...other, ...Object.fromEntries(own) };
  }
  if (Array.isArray(drawn["type"])) {
    const types = (drawn["type"] as readonly unknown[]).filter((type) => type !== "null");
    if (types.length === 1) drawn["type"] = types[0];
  }
  if (drawn["default"] === null) delete drawn["default"];
  for (const keyword of LISTS) {
    const parts = drawn[keyword];
    if (Array.isArray(parts)) drawn[keyword] = parts.map((part: unknown) => (isObject(part) ? withoutNull(part, depth + 1) : part));
  }
  for (const keyword of MAPS) {
    const parts = drawn[keyword];
    if (isObject(parts)) {
      drawn[keyword] = Object.fromEntries(
        Object.entries(parts).map(([name, part]) => [name, isObject(part) ? withoutNull(part, depth + 1) : part]),
      );
    }
  }
  for (const keyword of PARTS) {
    const part = drawn[keyword];
    if (isObject(part)) drawn[keyword] = withoutNull(part, depth + 1);
  }
  return drawn;
}

/** Of two choices one of which is null, the other one. */
function theOther(choices: unknown): JsonObject | null {
  if (!Array.isArray(choices) || choices.length !== 2) return null;
  const others = choices.filter((choice: unknown): choice is JsonObject => isObject(choice) && choice["type"] !== "null");
  return others.length === 1 ? (others[0] ?? null) : null;
}
