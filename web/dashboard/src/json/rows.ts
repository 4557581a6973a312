/**
 * A JSON value as a flat list of lines, the form in which long ones can be shown: only the lines in sight are drawn.
 *
 * Pure. A folded object or list is one line; a long string is cut, or, unfolded, stands on lines of its own. Paths are
 * written as programs write them (`rows[3].name`), with the whole value being `$`.
 */

export interface JsonRow {
  /** What tells it from the others: of an opening line the path, of the rest the path and a mark. */
  readonly id: string;
  readonly path: string;
  readonly depth: number;
  /** The key before the value, or null inside lists and at the top. */
  readonly key: string | null;
  readonly kind: "string" | "number" | "word" | "open" | "folded" | "empty" | "close" | "part";
  /** The value as JSON; of an object or list its brackets. */
  readonly text: string;
  readonly hasComma: boolean;
  /** How many entries, or how many characters a cut string has more. */
  readonly count: number;
}

/** A string with more characters than this is shown in part until it is unfolded. */
export const STRING_CHARS_MAX = 2_000;
/** How many characters of an unfolded string stand on one line. */
const PART_CHARS = 200;
/** A value with more lines than this is folded below its first levels to begin with. */
const UNFOLDED_ROWS_MAX = 1_000;

const NAME = /^[A-Za-z_$][\w$]*$/;

export function pathOf(parent: string, key: string | number): string {
  if (typeof key === "number") return `${parent}[${key}]`;
  if (!NAME.test(key)) return `${parent}[${JSON.stringify(key)}]`;
  return parent === "$" ? key : `${parent}.${key}`;
}

function entriesOf(value: object): readonly (readonly [string | number, unknown])[] {
  return Array.isArray(value) ? value.map((item, index) => [index, item as unknown] as const) : Object.entries(value);
}

/** The lines of a value. `folded` names objects and lists that are closed, `whole` long strings that are not cut. */
export function jsonRows(value: unknown, folded: ReadonlySet<string>, whole: ReadonlySet<string>): readonly JsonRow[] {
  const rows: JsonRow[] = [];

  function add(item: unknown, key: string | null, path: string, depth: number, hasComma: boolean): void {
    if (typeof item === "object" && item !== null) {
      const entries = entriesOf(item);
      const [open, close] = Array.isArray(item) ? ["[", "]"] : ["{", "}"];
      const count = entries.length;
      if (count === 0 || folded.has(path)) {
        const kind = count === 0 ? "empty" : "folded";
        rows.push({ id: path, path, depth, key, kind, text: count === 0 ? open + close : `${open}…${close}`, hasComma, count });
        return;
      }
      rows.push({ id: path, path, depth, key, kind: "open", text: open, hasComma: false, count });
      entries.forEach(([name, child], index) => {
        const childKey = typeof name === "number" ? null : name;
        add(child, childKey, pathOf(path, name), depth + 1, index < count - 1);
      });
      rows.push({ id: `${path} end`, path, depth, key: null, kind: "close", text: close, hasComma, count });
      return;
    }
    if (typeof item === "string") {
      addString(item, key, path, depth, hasComma);
      return;
    }
    const kind = typeof item === "number" ? "number" : "word";
    rows.push({ id: path, path, depth, key, kind, text: JSON.stringify(item), hasComma, count: 0 });
  }

  function addString(item: string, key: string | null, path: string, depth: number, hasComma: boolean): void {
    const text = JSON.stringify(item);
    const row = { path, depth, key, kind: "string" as const };
    if (text.length <= STRING_CHARS_MAX) {
      rows.push({ ...row, id: path, text, hasComma, count: 0 });
    } else if (!whole.has(path)) {
      const shown = text.slice(0, STRING_CHARS_MAX);
      rows.push({ ...row, id: path, text: shown, hasComma: false, count: text.length - STRING_CHARS_MAX });
    } else {
      for (let start = 0; start < text.length; start += PART_CHARS) {
        const isLast = start + PART_CHARS >= text.length;
        const part = { text: text.slice(start, start + PART_CHARS), hasComma: isLast && hasComma, count: 0 };
        if (start === 0) rows.push({ ...row, id: path, ...part });
        else rows.push({ ...row, id: `${path} ${start}`, key: null, kind: "part", ...part });
      }
    }
  }

  add(value, null, "$", 0, false);
  return rows;
}

/** Every object and list in the value from `depth` on, the whole value being at 0. */
export function containersFrom(value: unknown, depth: number): ReadonlySet<string> {
  const found = new Set<string>();
  function look(item: unknown, path: string, at: number): void {
    if (typeof item !== "object" || item === null) return;
    const entries = entriesOf(item);
    if (at >= depth && entries.length > 0) found.add(path);
    for (const [name, child] of entries) {
      if (typeof child === "object" && child !== null) look(child, pathOf(path, name), at + 1);
    }
  }
  look(value, "$", 0);
  return found;
}

/** How many lines the value has, counting no further than `max`. */
export function countRows(value: unknown, max: number): number {
  let count = 0;
  function look(item: unknown): void {
    count += typeof item === "string" ? 1 + Math.floor(item.length / STRING_CHARS_MAX) : 1;
    if (typeof item !== "object" || item === null) return;
    for (const child of Object.values(item) as unknown[]) {
      if (count > max) return;
      look(child);
    }
    count += 1;
  }
  look(value);
  return Math.min(count, max + 1);
}

/** What is folded to begin with: nothing of a value that can be read at a glance. */
export function firstFolded(value: unknown): ReadonlySet<string> {
  return countRows(value, UNFOLDED_ROWS_MAX) > UNFOLDED_ROWS_MAX ? containersFrom(value, 2) : new Set();
}

/** The paths whose key or value has the text, at most `max`, and what has to be open for each to be seen. */
export function findInJson(
  value: unknown,
  text: string,
  max: number,
): readonly { readonly path: string; readonly inside: readonly string[] }[] {
  const wanted = text.toLowerCase();
  const found: { path: string; inside: readonly string[] }[] = [];
  if (wanted === "") return found;
  function look(item: unknown, key: string, path: string, inside: readonly string[]): void {
    if (found.length >= max) return;
    const isContainer = typeof item === "object" && item !== null;
    const own = isContainer ? "" : (typeof item === "string" ? item : JSON.stringify(item)).toLowerCase();
    if (key.toLowerCase().includes(wanted) || own.includes(wanted)) found.push({ path, inside });
    if (!isContainer) return;
    const deeper = [...inside, path];
    for (const [name, child] of entriesOf(item)) look(child, typeof name === "number" ? "" : name, pathOf(path, name), deeper);
  }
  look(value, "", "$", []);
  return found;
}

/** What stands at a path that `jsonRows` gave. */
export function valueAt(value: unknown, wanted: string): unknown {
  function look(item: unknown, path: string): unknown {
    if (path === wanted) return item;
    if (typeof item !== "object" || item === null) return undefined;
    for (const [name, child] of entriesOf(item)) {
      const below = pathOf(path, name);
      if (below === wanted || wanted.startsWith(`${below}.`) || wanted.startsWith(`${below}[`)) return look(child, below);
    }
    return undefined;
  }
  return look(value, "$");
}
