/**
 * What a task waits for, asked of the engine's memory, with a way to send the event that it waits for.
 *
 * Nothing is shown for a task that waits for nothing. An answer that time alone changes is asked for again at that time.
 */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { useSession } from "../routes/useSession";
import { taskWaitingQuery, type WaitCondition } from "../services/waiting";
import { SendEventDialog } from "./SendEventDialog";
import { Button } from "./ui/button";
import { WaitReason } from "./WaitReason";

/** A little after the instant, so that the engine has acted on it. */
const AFTER_MS = 500;
const TIMER_MAX_MS = 86_400_000;

interface WaitedFor {
  readonly condition: WaitCondition;
  /** What becomes of a task of a DAG when it comes. */
  readonly action: string | null;
}

export function TaskWaiting({ taskId }: { taskId: string }) {
  const { tenant } = useSession();
  const waiting = useQuery(taskWaitingQuery(tenant.id, taskId));
  const [sends, setSends] = useState<WaitedFor | null>(null);
  const { refetch } = waiting;
  const until = waiting.data?.until ?? null;

  useEffect(() => {
    const leftMs = until === null ? TIMER_MAX_MS : until + AFTER_MS - Date.now();
    if (leftMs <= 0 || leftMs >= TIMER_MAX_MS) return;
    const timer = setTimeout(() => void refetch(), leftMs);
    return () => clearTimeout(timer);
  }, [until, refetch]);

  if (waiting.error !== null && waiting.data === undefined) {
    return (
      <p role="alert" className="border-b border-line px-4 py-2 text-sm text-failed">
        Why it does not run could not be asked: {waiting.error.message}
      </p>
    );
  }
  const reason = waiting.data ?? null;
  if (reason === null) return null;
  const events = reason.waits.flatMap(({ action, conditions }) =>
    conditions.filter((condition) => condition.eventKey !== null && !condition.isMet).map((condition) => ({ action, condition })),
  );
  return (
    <section aria-label="Why it does not run" className="border-b border-line bg-queued-soft px-4 py-3">
      <WaitReason reason={reason}>
        {events.length > 0 && (
          <div className="flex flex-wrap gap-2 pt-1">
            {events.map((event, index) => (
              <Button key={index} size="small" needs="pushEvent" onClick={() => setSends(event)}>
                {events.length === 1 ? "Send the event" : `Send ${event.condition.eventKey ?? ""}`}
              </Button>
            ))}
          </div>
        )}
      </WaitReason>
      {sends !== null && <SendEventDialog tenantId={tenant.id} {...sends} onClose={() => setSends(null)} />}
    </section>
  );
}
