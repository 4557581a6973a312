/** What the address of the run list asks for, and the address of what is asked for. */
import { EVERY_RUN, type Pair, type RunQuery } from "../search/grammar";
import type { RunListing, TimeRange } from "../services/runSearch";
import { DEFAULT_WINDOW, WINDOW_LABELS, WINDOW_MS, type RunsSearch, type RunWindow } from "./searches";

export function queryOf(search: RunsSearch): RunQuery {
  return {
    statuses: search.status ?? [],
    workflows: search.workflow ?? [],
    metadata: (search.metadata ?? []).map(pairOf),
    anyMetadata: search.any === true && (search.metadata ?? []).length > 1,
    place: search.running ?? null,
    causes: search.cause ?? [],
    id: search.id ?? null,
    event: search.event ?? null,
    parent: search.parent ?? null,
    worker: search.worker ?? null,
    keys: search.key ?? [],
    inputs: search.input ?? [],
    outputs: search.output ?? [],
    text: search.text ?? null,
  };
}

export function searchOf(query: RunQuery): RunsSearch {
  return {
    ...(query.statuses.length > 0 && { status: [...query.statuses] }),
    ...(query.workflows.length > 0 && { workflow: [...query.workflows] }),
    ...(query.metadata.length > 0 && { metadata: query.metadata.map(({ key, value }) => `${key}:${value}`) }),
    ...(query.anyMetadata && { any: true as const }),
    ...(query.place !== null && { running: query.place }),
    ...(query.causes.length > 0 && { cause: [...query.causes] }),
    ...(query.id !== null && { id: query.id }),
    ...(query.event !== null && { event: query.event }),
    ...(query.parent !== null && { parent: query.parent }),
    ...(query.worker !== null && { worker: query.worker }),
    ...(query.keys.length > 0 && { key: [...query.keys] }),
    ...(query.inputs.length > 0 && { input: [...query.inputs] }),
    ...(query.outputs.length > 0 && { output: [...query.outputs] }),
    ...(query.text !== null && { text: query.text }),
  };
}

/** What of the address is not what is asked for: the time, the order, and what is open. */
export function restOf({ window, from, to, tasks, order, peek }: RunsSearch): RunsSearch {
  return {
    ...(window !== undefined && { window }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(tasks !== undefined && { tasks }),
    ...(order !== undefined && { order }),
    ...(peek !== undefined && { peek }),
  };
}

interface TimeSearch {
  readonly window?: RunWindow | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** A choice of time range: one of the windows, or from one instant to another. */
export type TimeChoice = RunWindow | "between";

export function timeOf(search: TimeSearch, otherwise: RunWindow = DEFAULT_WINDOW): { choice: TimeChoice; range: TimeRange; words: string } {
  if (search.from !== undefined || search.to !== undefined) {
    const from = search.from ?? "1970-01-01T00:00:00Z";
    return { choice: "between", range: { kind: "between", from, to: search.to ?? null }, words: "between these times" };
  }
  const choice = search.window ?? otherwise;
  if (choice === "all") return { choice, range: { kind: "ever" }, words: "at all" };
  return { choice, range: { kind: "last", windowMs: WINDOW_MS[choice] }, words: `in the ${WINDOW_LABELS[choice].toLowerCase()}` };
}

const UNFINISHED: ReadonlySet<string> = new Set(["QUEUED", "RUNNING"]);

/**
 * The window of a search that names none. What is looked for by something of its own, and what has not ended, is meant
 * whenever it was made: a run may sleep for months.
 */
export function usualWindow(query: RunQuery): RunWindow {
  const isNamed = [query.id, query.event, query.parent, query.place].some((value) => value !== null) || query.keys.length > 0;
  const isUnfinished = query.statuses.length > 0 && query.statuses.every((status) => UNFINISHED.has(status));
  return isNamed || isUnfinished ? "all" : DEFAULT_WINDOW;
}

export function listingOf(search: RunsSearch): RunListing {
  const query = queryOf(search);
  return {
    query,
    range: timeOf(search, usualWindow(query)).range,
    ofTasks: search.tasks === true,
    oldestFirst: search.order === "oldest",
  };
}

export const isEveryRun = (query: RunQuery): boolean => JSON.stringify(query) === JSON.stringify(EVERY_RUN);

function pairOf(text: string): Pair {
  const at = text.indexOf(":");
  return { key: text.slice(0, at), value: text.slice(at + 1) };
}
