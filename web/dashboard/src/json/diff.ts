/** Where two JSON values differ, by path. Pure. */
import { pathOf } from "./rows";

export interface Difference {
  readonly path: string;
  /** JSON of what stands there, or null where there is nothing. */
  readonly left: string | null;
  readonly right: string | null;
}

/** At most `max` differences; a value that is an object or a list on one side only is one difference. */
export function diffJson(left: unknown, right: unknown, max: number): readonly Difference[] {
  const found: Difference[] = [];
  function look(one: unknown, other: unknown, path: string): void {
    if (found.length >= max || Object.is(one, other)) return;
    if (isContainer(one) && isContainer(other) && Array.isArray(one) === Array.isArray(other)) {
      const names = new Set([...Object.keys(one), ...Object.keys(other)]);
      for (const name of names) {
        const below = pathOf(path, Array.isArray(one) ? Number(name) : name);
        look((one as Readonly<Record<string, unknown>>)[name], (other as Readonly<Record<string, unknown>>)[name], below);
      }
      return;
    }
    found.push({ path, left: written(one), right: written(other) });
  }
  look(left, right, "$");
  return found;
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function written(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
