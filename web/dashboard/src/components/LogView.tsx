import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { LOG_LINES_MAX, logsQuery } from "../services/runs";
import { formatLocalClock, formatUtc } from "../time/format";
import { ErrorNotice, Loading } from "./Notice";
import { cn } from "./ui/classes";

const LEVEL_LOOKS = { DEBUG: "text-ink-soft", INFO: "text-running", WARN: "text-cancelled", ERROR: "text-failed" } as const;

const FOLLOW_WITHIN_PX = 24;

export function LogView({ taskId }: { taskId: string }) {
  const logs = useQuery(logsQuery(taskId));
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);

  // New lines are followed until the reader scrolls up, and again when they return to the end.
  useEffect(() => {
    if (follows.current && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [logs.data]);

  if (logs.data === undefined) {
    return logs.error ? <ErrorNotice error={logs.error} onRetry={() => void logs.refetch()} /> : <Loading label="Loading logs…" />;
  }
  const { lines, truncated } = logs.data;
  if (lines.length === 0) {
    return (
      <p className="px-4 py-6 text-sm text-ink-soft">
        No log lines. What a task writes with <code className="font-mono text-xs">ctx.log(…)</code> appears here.
      </p>
    );
  }
  const attempts = new Set(lines.map((line) => line.attempt)).size;
  return (
    <div
      ref={box}
      role="log"
      aria-label="Log lines"
      // A scrollable region must be reachable by keyboard to be scrolled by keyboard.
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
      tabIndex={0}
      onScroll={({ currentTarget: at }) => {
        follows.current = at.scrollHeight - at.scrollTop - at.clientHeight < FOLLOW_WITHIN_PX;
      }}
      className="max-h-96 overflow-auto px-4 py-3 font-mono text-xs -outline-offset-2"
    >
      {truncated && <p className="mb-2 text-ink-soft">The latest {LOG_LINES_MAX} lines; older ones are not shown.</p>}
      {lines.map((line, index) => (
        <p key={`${line.createdAt}-${index}`} className="flex gap-3 leading-relaxed">
          <time dateTime={new Date(line.createdAt).toISOString()} title={formatUtc(line.createdAt)} className="shrink-0 text-ink-soft">
            {formatLocalClock(line.createdAt)}
          </time>
          <span className={cn("w-10 shrink-0", LEVEL_LOOKS[line.level])}>{line.level}</span>
          {attempts > 1 && line.attempt !== null && <span className="shrink-0 text-ink-soft">#{line.attempt}</span>}
          <span className="min-w-0 break-words whitespace-pre-wrap">{line.message}</span>
        </p>
      ))}
    </div>
  );
}
