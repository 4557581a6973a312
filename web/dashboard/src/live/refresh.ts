/**
 * Which of the cached answers a change concerns.
 *
 * The first word of a query's key says what it shows; the table says what changes that (by default runs, and the kind
 * of that name). A query about certain runs or tasks names them (`meta.about`) and is left alone when others change.
 */
import type { Query, QueryClient } from "@tanstack/react-query";

import type { Changes } from "./changes";

interface LiveMeta extends Record<string, unknown> {
  /** The runs and tasks that the answer is about. */
  readonly about?: (data: unknown) => readonly string[];
  /** Whether the answer is of something that is over: it need not be asked for again because the page was loading. */
  readonly isFinal?: (data: unknown) => boolean;
  /** Only opening the page anew changes it. */
  readonly isConstant?: boolean;
}

declare module "@tanstack/react-query" {
  interface Register {
    queryMeta: LiveMeta;
  }
}

const CHANGED_BY: Readonly<Record<string, readonly string[]>> = {
  runs: ["runs"],
  tasks: ["runs", "logs"],
  workers: ["workers", "runs"],
  workflows: ["workflows"],
  crons: ["crons"],
  schedules: ["schedules"],
  events: ["events", "runs"],
  filters: ["filters"],
  webhooks: ["events"],
  alerts: ["alerts"],
  "alert-rules": ["alerts"],
  "alert-channels": ["alerts"],
  "alert-deliveries": ["alerts"],
  "rate-limits": ["rate-limits"],
  streams: ["streams"],
  "resource-policy": ["limits"],
  logs: ["logs"],
  "tenant-logs": ["logs"],
  "webhook-failures": ["events"],
  traces: ["traces"],
  // What holds a task may be anything of the tenant's.
  waiting: ["runs", "workers", "workflows", "rate-limits"],
  upcoming: ["runs", "crons", "schedules", "rate-limits"],
  queues: ["runs", "workers"],
  "cluster-nodes": ["nodes"],
};

/**
 * What no change of the tenant concerns: it is asked for again when the page is opened, or by who changed it. Figures of
 * charts (`load`, `log-points`) are asked for again by the charts, and less often than changes come.
 */
const APART = new Set(["load", "log-points", "session", "entry-link-printed", "engine-version", "example", "tokens"]);

export function isConcerned(query: Query, changes: Changes): boolean {
  const word = String(query.queryKey[0]);
  if (APART.has(word) || query.meta?.isConstant === true) return false;
  if (changes.kinds === null) return true;
  const changedBy = CHANGED_BY[word] ?? ["runs", word];
  if (!changedBy.some((kind) => changes.kinds?.includes(kind) === true)) return false;
  const data: unknown = query.state.data;
  // Who has gone further down a list is not moved.
  if (hasSeveralPages(data)) return false;
  if (changes.isFirst && data !== undefined && query.meta?.isFinal?.(data) === true) return false;
  if (changes.ids === null || data === undefined || query.meta?.about === undefined) return true;
  const about = query.meta.about(data);
  return about.some((id) => changes.ids?.includes(id) === true);
}

function hasSeveralPages(data: unknown): boolean {
  return typeof data === "object" && data !== null && "pages" in data && Array.isArray(data.pages) && data.pages.length > 1;
}

/**
 * Asks again for what a change concerns. An answer that is on its way is neither cut off nor taken for the new one, since it
 * may be older than the change: what it shows is asked for again once it has come, however long that takes.
 */
export class Refresher {
  /** What changed while an answer was on its way. */
  private readonly missed = new Map<Query, Changes[]>();

  constructor(private readonly client: QueryClient) {}

  /** Watches for answers until the function it returns is called. */
  start(): () => void {
    return this.client.getQueryCache().subscribe((event) => {
      const query = event.query as Query;
      if (event.type === "removed") this.missed.delete(query);
      // Not within the notice itself: the query is not done with its answer yet.
      else if (isIdle(query) && this.missed.has(query)) setTimeout(() => this.catchUp(query), 0);
    });
  }

  take(changes: Changes): void {
    const isMeant = (query: Query) => isConcerned(query, changes);
    for (const query of this.client.getQueryCache().findAll({ predicate: (query) => !isIdle(query) && isMeant(query) })) {
      this.missed.set(query, [...(this.missed.get(query) ?? []), changes]);
    }
    void this.client.invalidateQueries({ predicate: (query) => isIdle(query) && isMeant(query) });
  }

  private catchUp(asked: Query): void {
    const missed = this.missed.get(asked);
    if (missed === undefined || !isIdle(asked)) return;
    this.missed.delete(asked);
    const isMeant = missed.some((changes) => isConcerned(asked, changes));
    if (isMeant) void this.client.invalidateQueries({ predicate: (query) => query === asked });
  }
}

function isIdle(query: Query): boolean {
  return query.state.fetchStatus === "idle";
}
