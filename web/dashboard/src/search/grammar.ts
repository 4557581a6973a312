/**
 * The language of the search box: `status:failed workflow:orders tenant=acme`.
 *
 * A term is `name:value`, `key=value` for metadata, or a word that is looked for in names; quotes hold what has spaces.
 * Values of one name are alternatives. Metadata of different keys must all match, or any of it where OR stands between.
 * What cannot be understood is a problem that says what to write instead; it is never taken for something else.
 */
import { RUN_STATUSES, type RunStatus } from "../services/schemas";

export const RUN_CAUSES = ["MANUAL", "EVENT", "CRON", "SCHEDULE"] as const;
export type RunCause = (typeof RUN_CAUSES)[number];
export const PLACES = ["evicted", "on-worker"] as const;
/** Where a running run is: asleep outside a worker, or on one. */
export type Place = (typeof PLACES)[number];

export interface Pair {
  readonly key: string;
  readonly value: string;
}

/** Which runs are looked for, apart from when they were made. Null and empty lists ask for nothing. */
export interface RunQuery {
  readonly statuses: readonly RunStatus[];
  readonly workflows: readonly string[];
  readonly metadata: readonly Pair[];
  /** Whether any pair will do. */
  readonly anyMetadata: boolean;
  readonly place: Place | null;
  readonly causes: readonly RunCause[];
  readonly id: string | null;
  readonly event: string | null;
  readonly parent: string | null;
  readonly worker: string | null;
  readonly keys: readonly string[];
  /** `path=value` in the input, all of which must be so, and in the output of a task. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly text: string | null;
}

export const EVERY_RUN: RunQuery = {
  statuses: [],
  workflows: [],
  metadata: [],
  anyMetadata: false,
  place: null,
  causes: [],
  id: null,
  event: null,
  parent: null,
  worker: null,
  keys: [],
  inputs: [],
  outputs: [],
  text: null,
};

/** The names of terms, and what each is about. */
export const FIELDS = {
  status: "queued, running, completed, failed, cancelled",
  workflow: "name of a workflow",
  id: "id of a run, or its beginning",
  cause: "manual, event, cron, schedule",
  cron: "name of a cron",
  schedule: "id of a scheduled run",
  event: "id of the event that started it",
  parent: "id of the run that started it",
  worker: "id of a worker that took it",
  key: "idempotency key",
  input: "a value in the input, like customer.id=acme",
  output: "a value in an output, like items[0].sku=17",
  is: "waiting, on-worker, evicted",
} as const;
export type FieldName = keyof typeof FIELDS;

export const CRON_NAME_KEY = "hatchet__cron_name";
export const SCHEDULE_ID_KEY = "broadaxe__schedule_id";
/** Keys of metadata that the engine writes have names of their own in a search. */
const NAMED_KEYS: Readonly<Record<string, "cron" | "schedule">> = { [CRON_NAME_KEY]: "cron", [SCHEDULE_ID_KEY]: "schedule" };

const STATUS_WORDS: Readonly<Record<string, RunStatus>> = {
  ...Object.fromEntries(RUN_STATUSES.map((status) => [status.toLowerCase(), status])),
  waiting: "QUEUED",
  succeeded: "COMPLETED",
};
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const ID_PREFIX = /^[0-9a-f-]{1,36}$/i;

/** A term as it stands in the text: `name` and `mark` are null for a word, and for a quoted one. */
export interface Term {
  readonly name: string | null;
  readonly mark: ":" | "=" | null;
  readonly value: string;
  readonly isQuoted: boolean;
  readonly start: number;
  readonly end: number;
}

export function termsOf(text: string): readonly Term[] {
  const terms: Term[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text.charAt(at))) {
      at += 1;
      continue;
    }
    const start = at;
    let part = "";
    let name: string | null = null;
    let mark: Term["mark"] = null;
    let isQuoted = false;
    while (at < text.length && !/\s/.test(text.charAt(at))) {
      const letter = text.charAt(at);
      if (letter === '"') {
        isQuoted = true;
        at += 1;
        while (at < text.length && text.charAt(at) !== '"') {
          if (text.charAt(at) === "\\") at += 1;
          part += text.charAt(at);
          at += 1;
        }
        at += 1;
      } else if (mark === null && part !== "" && (letter === ":" || letter === "=")) {
        name = part;
        mark = letter;
        part = "";
        isQuoted = false;
        at += 1;
      } else {
        part += letter;
        at += 1;
      }
    }
    terms.push({ name, mark, value: part, isQuoted, start, end: Math.min(at, text.length) });
  }
  return terms;
}

export interface Parsed {
  readonly query: RunQuery;
  readonly problems: readonly string[];
}

type Draft = { -readonly [Key in keyof RunQuery]: RunQuery[Key] };

export function parseQuery(text: string): Parsed {
  const draft: Draft = { ...EVERY_RUN };
  const problems: string[] = [];
  const words: string[] = [];
  const order: ("pair" | "or" | "other")[] = [];
  for (const term of termsOf(text)) {
    if (term.mark === "=" && term.name !== null) {
      order.push("pair");
      draft.metadata = [...draft.metadata, { key: term.name, value: term.value }];
    } else if (term.mark === ":" && term.name !== null) {
      order.push(Object.values<string>(NAMED_KEYS).includes(term.name.toLowerCase()) ? "pair" : "other");
      const problem = addField(draft, term.name, term.value);
      if (problem !== null) problems.push(problem);
    } else if (!term.isQuoted && term.value === "OR") {
      order.push("or");
    } else if (!term.isQuoted && term.value === "AND") {
      continue;
    } else if (!term.isQuoted && UUID.test(term.value)) {
      order.push("other");
      draft.id = term.value.toLowerCase();
    } else {
      order.push("other");
      words.push(term.value);
    }
  }
  if (words.length > 0) draft.text = words.join(" ");
  if (order.includes("or")) {
    const problem = problemOfOr(order);
    if (problem === null) draft.anyMetadata = true;
    else problems.push(problem);
  }
  return { query: draft, problems };
}

function problemOfOr(order: readonly ("pair" | "or" | "other")[]): string | null {
  const isBetween = order.every((kind, at) => kind !== "or" || (order[at - 1] === "pair" && order[at + 1] === "pair"));
  if (!isBetween) return "OR stands between two pairs of metadata, like tenant=acme OR tenant=beta.";
  const pairs = order.filter((kind) => kind === "pair").length;
  const ors = order.filter((kind) => kind === "or").length;
  if (ors !== pairs - 1) return "Write OR between all pairs of metadata, or between none: they cannot be mixed.";
  return null;
}

function addField(draft: Draft, given: string, value: string): string | null {
  const name = given.toLowerCase();
  if (!isField(name)) return `There is no “${given}:”. For metadata write ${given}=${value === "" ? "value" : value}.`;
  if (value === "") return `Write ${FIELDS[name]} behind “${name}:”.`;
  const values = value.split(",").filter((one) => one !== "");
  switch (name) {
    case "status": {
      const wrong = values.find((one) => STATUS_WORDS[one.toLowerCase()] === undefined);
      if (wrong !== undefined) return `“${wrong}” is no status; there are ${FIELDS.status}.`;
      draft.statuses = merged(draft.statuses, values.flatMap((one) => STATUS_WORDS[one.toLowerCase()] ?? []));
      return null;
    }
    case "cause": {
      const causes = values.map((one) => one.toUpperCase());
      const wrong = causes.find((one) => !isOneOf(RUN_CAUSES, one));
      if (wrong !== undefined) return `“${wrong.toLowerCase()}” causes no runs; there are ${FIELDS.cause}.`;
      draft.causes = merged(draft.causes, causes.filter((one) => isOneOf(RUN_CAUSES, one)));
      return null;
    }
    case "is": {
      const place = value.toLowerCase();
      if (place === "waiting") draft.statuses = merged(draft.statuses, ["QUEUED"]);
      else if (isOneOf(PLACES, place)) draft.place = place;
      else return `“is:” takes ${FIELDS.is}.`;
      return null;
    }
    case "workflow":
      draft.workflows = merged(draft.workflows, values);
      return null;
    case "key":
      draft.keys = merged(draft.keys, [value]);
      return null;
    case "input":
    case "output": {
      if (!/^[^=]+=/.test(value)) return `Write a place and its value behind “${name}:”, like ${name}:customer.id=acme.`;
      const which = name === "input" ? "inputs" : "outputs";
      draft[which] = merged(draft[which], [value]);
      return null;
    }
    case "cron":
      draft.metadata = [...draft.metadata, { key: CRON_NAME_KEY, value }];
      return null;
    case "id":
      if (!ID_PREFIX.test(value)) return "An id has the digits 0 to 9, the letters a to f, and hyphens.";
      draft.id = value.toLowerCase();
      return null;
    case "event":
    case "parent":
    case "worker":
    case "schedule":
      if (!UUID.test(value)) return `“${name}:” takes an id of 36 characters, like 0b1d2c3e-0000-4000-8000-000000000001.`;
      if (name === "schedule") draft.metadata = [...draft.metadata, { key: SCHEDULE_ID_KEY, value: value.toLowerCase() }];
      else draft[name] = value.toLowerCase();
      return null;
  }
}

function isField(name: string): name is FieldName {
  return Object.hasOwn(FIELDS, name);
}

function isOneOf<Word extends string>(words: readonly Word[], word: string): word is Word {
  return (words as readonly string[]).includes(word);
}

function merged<Item>(before: readonly Item[], more: readonly Item[]): readonly Item[] {
  return [...new Set([...before, ...more])];
}

/** A term for each thing that is asked for, as the box shows it. */
export interface FilterTerm {
  readonly text: string;
  /** The same search without it. */
  readonly without: RunQuery;
}

export function filterTerms(query: RunQuery): readonly FilterTerm[] {
  const terms: FilterTerm[] = [];
  const add = (text: string, without: Partial<RunQuery>) => terms.push({ text, without: { ...query, ...without } });
  if (query.statuses.length > 0) add(`status:${query.statuses.join(",").toLowerCase()}`, { statuses: [] });
  if (query.place !== null) add(`is:${query.place}`, { place: null });
  if (query.workflows.length > 0) add(`workflow:${query.workflows.map(quoted).join(",")}`, { workflows: [] });
  query.metadata.forEach((pair, at) => {
    const metadata = query.metadata.filter((_, other) => other !== at);
    const named = NAMED_KEYS[pair.key];
    const term = named === undefined ? `${quoted(pair.key)}=${quoted(pair.value)}` : `${named}:${quoted(pair.value)}`;
    add(term, { metadata, anyMetadata: query.anyMetadata && metadata.length > 1 });
  });
  if (query.causes.length > 0) add(`cause:${query.causes.join(",").toLowerCase()}`, { causes: [] });
  for (const name of ["id", "event", "parent", "worker"] as const) {
    const value = query[name];
    if (value !== null) add(`${name}:${value}`, { [name]: null });
  }
  for (const key of query.keys) add(`key:${quoted(key)}`, { keys: query.keys.filter((other) => other !== key) });
  for (const value of query.inputs) add(`input:${quotedAfterMark(value)}`, { inputs: query.inputs.filter((other) => other !== value) });
  for (const value of query.outputs) add(`output:${quotedAfterMark(value)}`, { outputs: query.outputs.filter((other) => other !== value) });
  if (query.text !== null) add(needsQuotes(query.text) ? quotedAlways(query.text) : query.text, { text: null });
  return terms;
}

export function formatQuery(query: RunQuery): string {
  const terms = filterTerms(query).map((term) => term.text);
  if (!query.anyMetadata) return terms.join(" ");
  const first = terms.findIndex((_, at) => at === pairsBefore(query));
  const pairs = terms.slice(first, first + query.metadata.length);
  return [...terms.slice(0, first), pairs.join(" OR "), ...terms.slice(first + pairs.length)].join(" ");
}

/** How many terms stand before those of metadata. */
function pairsBefore(query: RunQuery): number {
  return [query.statuses.length > 0, query.place !== null, query.workflows.length > 0].filter(Boolean).length;
}

function needsQuotes(text: string): boolean {
  return text === "OR" || text === "AND" || UUID.test(text) || /[\s":=\\]/.test(text);
}

export function quoted(value: string): string {
  return value === "" || /[\s"\\:=]/.test(value) ? quotedAlways(value) : value;
}

/** Behind a colon more colons and equals signs mean nothing. */
function quotedAfterMark(value: string): string {
  return /[\s"\\]/.test(value) ? quotedAlways(value) : value;
}

function quotedAlways(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
