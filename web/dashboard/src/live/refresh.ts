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
  "rate-limits": ["rate-limits"],
  "resource-policy": ["limits"],
  logs: ["logs"],
  "tenant-logs": ["logs"],
  "webhook-failures": ["events"],
  traces: ["traces"],
  // What holds a task may be anything of the tenant's.
  waiting: ["runs", "workers", "workflows", "rate-limits"],
  upcoming: ["runs", "crons", "schedules", "rate-limits"],
  queues: ["runs", "workers"],
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

/** How long a round may hold up the next: an answer that does not come must not stop everything else on the page. */
const ROUND_MAX_MS = 5_000;

async function atMost(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([work, new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)))]);
  clearTimeout(timer);
}

/**
 * Asks again for what a change concerns, one round at a time: what changes during a round is asked for in the next, so
 * that an answer that takes long is not cut off by the one after it.
 */
export class Refresher {
  private waiting: Changes[] = [];
  private isBusy = false;

  constructor(private readonly client: QueryClient) {}

  take(changes: Changes): void {
    this.waiting.push(changes);
    if (!this.isBusy) void this.run();
  }

  private async run(): Promise<void> {
    this.isBusy = true;
    try {
      while (this.waiting.length > 0) {
        const round = this.waiting;
        this.waiting = [];
        const isMeant = (query: Query) => round.some((changes) => isConcerned(query, changes));
        const isAskedFirst = (query: Query) => query.state.data === undefined && query.state.fetchStatus !== "idle";
        const askedFirst = new Set(this.client.getQueryCache().findAll({ predicate: (query) => isAskedFirst(query) && isMeant(query) }));
        await atMost(ROUND_MAX_MS, this.client.invalidateQueries({ predicate: isMeant }));
        // A first answer that was on its way is waited for and not asked for again: it may be older than the change.
        if (askedFirst.size > 0) {
          await atMost(
            ROUND_MAX_MS,
            this.client.invalidateQueries({ predicate: (query) => askedFirst.has(query) && isMeant(query) }),
          );
        }
      }
    } finally {
      this.isBusy = false;
    }
  }
}
