/** What may be meant by the term at the caret of the search box, from what there is. */
import { RUN_STATUSES } from "../services/schemas";
import { FIELDS, PLACES, quoted, RUN_CAUSES, termsOf, type FieldName } from "./grammar";

/** What is known of the tenant; nothing of it need be complete. */
export interface Known {
  readonly workflows: readonly string[];
  readonly workers: readonly { readonly id: string; readonly name: string }[];
  /** Keys of metadata with values that were seen. */
  readonly metadata: ReadonlyMap<string, readonly string[]>;
}

export interface Suggestion {
  /** The term as it will stand in the box. */
  readonly term: string;
  readonly hint: string;
  /** The whole text with the term in its place, and where the caret is then. */
  readonly text: string;
  readonly caret: number;
}

export const SUGGESTIONS_MAX = 10;

export function suggest(text: string, caret: number, known: Known): readonly Suggestion[] {
  const at = termsOf(text).find((term) => term.start <= caret && caret <= term.end);
  const [start, end] = at === undefined ? [caret, caret] : [at.start, at.end];
  const found =
    at === undefined || at.mark === null
      ? namesLike(at?.value ?? "", known)
      : valuesLike(at.name ?? "", at.mark, at.value, known);
  return found.slice(0, SUGGESTIONS_MAX).map(({ term, hint, isWhole }) => {
    const before = text.slice(0, start) + term + (isWhole ? " " : "");
    return { term, hint, text: before + text.slice(end).replace(/^ /, isWhole ? "" : " "), caret: before.length };
  });
}

interface Offer {
  readonly term: string;
  readonly hint: string;
  /** Nothing more has to be written. */
  readonly isWhole: boolean;
}

function namesLike(part: string, known: Known): readonly Offer[] {
  const fields = (Object.keys(FIELDS) as FieldName[])
    .filter((name) => begins(name, part))
    .map((name) => ({ term: `${name}:`, hint: FIELDS[name], isWhole: false }));
  const keys = [...known.metadata.keys()]
    .filter((key) => begins(key, part))
    .map((key) => ({ term: `${quoted(key)}=`, hint: "metadata", isWhole: false }));
  if (part === "") return [...fields, ...keys];
  return [
    ...fields,
    ...keys,
    ...valuesLike("status", ":", part, known),
    ...known.workflows.filter((name) => contains(name, part)).map((name) => whole(`workflow:${quoted(name)}`, "workflow")),
  ];
}

function valuesLike(name: string, mark: ":" | "=", value: string, known: Known): readonly Offer[] {
  if (mark === "=") {
    const values = known.metadata.get(name) ?? [];
    return values.filter((one) => contains(one, value)).map((one) => whole(`${quoted(name)}=${quoted(one)}`, "seen in the list"));
  }
  const chosen = value.split(",").slice(0, -1);
  const last = value.split(",").at(-1) ?? "";
  const listed = (words: readonly string[], hint: string) =>
    words
      .filter((word) => begins(word, last) && !chosen.includes(word))
      .map((word) => whole(`${name}:${[...chosen, word].join(",")}`, hint));
  switch (name.toLowerCase()) {
    case "status":
      return listed(RUN_STATUSES.map((status) => status.toLowerCase()), "status");
    case "cause":
      return listed(RUN_CAUSES.map((cause) => cause.toLowerCase()), "what started it");
    case "is":
      return listed(["waiting", ...PLACES], "where it is");
    case "workflow":
      return known.workflows
        .filter((one) => contains(one, last) && !chosen.includes(one))
        .map((one) => whole(`workflow:${[...chosen, one].map(quoted).join(",")}`, "workflow"));
    case "worker":
      return known.workers
        .filter((one) => contains(one.name, value) || begins(one.id, value))
        .map((one) => whole(`worker:${one.id}`, one.name));
    default:
      return [];
  }
}

function whole(term: string, hint: string): Offer {
  return { term, hint, isWhole: true };
}

function begins(word: string, part: string): boolean {
  return word.toLowerCase().startsWith(part.toLowerCase());
}

function contains(word: string, part: string): boolean {
  return word.toLowerCase().includes(part.toLowerCase());
}
