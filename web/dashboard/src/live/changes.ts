/**
 * The engine's stream of changes: one connection per visible page, opened again whenever it is lost.
 *
 * A page that nobody sees has none: browsers allow few connections to one server. What it missed is made up for when
 * it is seen again.
 */
import { z } from "zod";

const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 15_000;
/** The first message tells of the last ten seconds. A page that took longer to get it may have read what is older. */
const TOLD_OF_MS = 8_000;

const changesSchema = z.object({
  kinds: z.array(z.string()),
  ids: z.array(z.string()).optional(),
  heartbeats: z.record(z.string(), z.string()).default({}),
});

export interface Changes {
  /** What sort of rows changed: `runs`, `workers`, ... Null: something may have been missed. */
  readonly kinds: readonly string[] | null;
  /** The runs and tasks among them; null when they are too many. */
  readonly ids: readonly string[] | null;
  /** When workers were last heard of, by id. */
  readonly heartbeats: Readonly<Record<string, string>>;
  /** The first message of a page: it tells what changed while the page was loading. */
  readonly isFirst: boolean;
}

export type LinkState = "connecting" | "live" | "away";

interface Listener {
  readonly onChanges: (changes: Changes) => void;
  readonly onState: (state: LinkState) => void;
}

/** Follows a tenant until the function it returns is called. */
export function followChanges(tenantId: string, { onChanges, onState }: Listener): () => void {
  let source: EventSource | null = null;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let pauseMs = RETRY_FIRST_MS;
  let isFirst = true;
  let isNew = true;
  const sinceMs = performance.now();

  function open(): void {
    clearTimeout(retry);
    source?.close();
    isNew = true;
    source = new EventSource(`/api/v1/stable/tenants/${tenantId}/changes`);
    source.addEventListener("message", (event: MessageEvent<string>) => {
      const message = changesSchema.safeParse(JSON.parse(event.data));
      if (!message.success) return;
      const { kinds, ids, heartbeats } = message.data;
      pauseMs = RETRY_FIRST_MS;
      if (isNew) onState("live");
      if (performance.now() - sinceMs > TOLD_OF_MS && isNew) isFirst = false;
      onChanges({ kinds: isNew && !isFirst ? null : kinds, ids: ids ?? null, heartbeats, isFirst });
      isFirst = false;
      isNew = false;
    });
    source.addEventListener("error", () => {
      // The browser opens a stream again that broke off, but not one that was refused.
      const wasLive = !isNew;
      isNew = true;
      isFirst = false;
      if (source?.readyState === EventSource.CLOSED) {
        retry = setTimeout(open, pauseMs);
        pauseMs = Math.min(RETRY_MAX_MS, 2 * pauseMs);
        onState("away");
        // Whether it was the session that is over: what is asked now is told so.
        onChanges({ kinds: null, ids: null, heartbeats: {}, isFirst: false });
      } else {
        // The engine ends every stream now and then: only one that does not come back is away.
        onState(wasLive ? "connecting" : "away");
      }
    });
  }

  function close(): void {
    clearTimeout(retry);
    source?.close();
    source = null;
    isFirst = false;
  }

  function onVisibility(): void {
    if (document.visibilityState === "hidden") close();
    else if (source === null) open();
  }

  document.addEventListener("visibilitychange", onVisibility);
  onVisibility();
  return () => {
    document.removeEventListener("visibilitychange", onVisibility);
    close();
  };
}
