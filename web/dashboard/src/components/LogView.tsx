/**
 * What tasks wrote to their logs, oldest first: searched and filtered by the engine, followed while lines come, saved as a
 * file. New lines are followed until the reader scrolls up, and again when they return to the end.
 */
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useDeferredValue, useState } from "react";

import { rowsIn } from "../services/pages";
import {
  allTaskLogs,
  LOG_LEVELS,
  TASKS_OF_LOGS_MAX,
  taskLogsQuery,
  type LogFilter,
  type LogLevel,
  type TenantLogLine,
} from "../services/tenantLogs";
import { formatLocalClock, formatUtc } from "../time/format";
import { AnsiText, withoutAnsi } from "./AnsiText";
import { ErrorNotice, Loading } from "./Notice";
import { saveFile } from "./saveFile";
import { Button } from "./ui/button";
import { cn } from "./ui/classes";
import { useFollowedEnd } from "./useFollowedEnd";

const LEVEL_LOOKS: Readonly<Record<LogLevel, string>> = {
  DEBUG: "text-ink-soft",
  INFO: "text-running",
  WARN: "text-cancelled",
  ERROR: "text-failed",
};

export function LogView({
  tenantId,
  taskIds,
  nameOf,
}: {
  tenantId: string;
  taskIds: readonly string[];
  /** Of several tasks: what each is called. */
  nameOf?: (taskId: string) => string;
}) {
  const [search, setSearch] = useState("");
  const [levels, setLevels] = useState<readonly LogLevel[]>([]);
  const filter: LogFilter = { search: useDeferredValue(search.trim()), levels };
  const saving = useMutation({
    mutationFn: () => allTaskLogs(tenantId, taskIds, filter),
    onSuccess: ({ lines, isCut }) => {
      const head = isCut ? `(The latest ${lines.length} lines; there are older ones.)\n` : "";
      saveFile("log.txt", "text/plain", head + lines.map((line) => written(line, nameOf)).join(""));
    },
  });

  return (
    <div>
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-1.5">
        <input
          type="search"
          aria-label="Search in the log"
          placeholder="Search"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
          className="h-6 min-w-0 flex-1 basis-24 rounded-md border border-line bg-card px-2 text-xs sm:max-w-52"
        />
        <div role="group" aria-label="Levels" className="flex gap-1">
          {LOG_LEVELS.map((level) => (
            <Button
              key={level}
              size="small"
              aria-pressed={levels.includes(level)}
              className={cn(LEVEL_LOOKS[level], levels.includes(level) && "border-line-strong bg-sunken")}
              onClick={() => setLevels(levels.includes(level) ? levels.filter((other) => other !== level) : [...levels, level])}
            >
              {level}
            </Button>
          ))}
        </div>
        <Button size="small" className="ml-auto" disabled={saving.isPending} onClick={() => saving.mutate()}>
          {saving.isPending ? "Reading…" : "Download"}
        </Button>
      </div>
      {saving.error !== null && (
        <p role="alert" className="px-4 py-2 text-xs text-failed">
          The log could not be read: {saving.error.message}
        </p>
      )}
      {taskIds.length > TASKS_OF_LOGS_MAX && (
        <p className="px-4 py-2 text-xs text-ink-soft">
          Lines of the first {TASKS_OF_LOGS_MAX.toLocaleString()} tasks; open a task to see its own.
        </p>
      )}
      <Lines tenantId={tenantId} taskIds={taskIds} filter={filter} {...(nameOf === undefined ? {} : { nameOf })} />
    </div>
  );
}

function Lines({
  tenantId,
  taskIds,
  filter,
  nameOf,
}: {
  tenantId: string;
  taskIds: readonly string[];
  filter: LogFilter;
  nameOf?: (taskId: string) => string;
}) {
  const logs = useInfiniteQuery(taskLogsQuery(tenantId, taskIds, filter));

  const { box, onScroll, stop } = useFollowedEnd<HTMLDivElement>(logs.data);

  if (logs.data === undefined) {
    return logs.error ? <ErrorNotice error={logs.error} onRetry={() => void logs.refetch()} /> : <Loading label="Loading logs…" />;
  }
  const lines = rowsIn(logs.data).toReversed();
  if (lines.length === 0 && !logs.hasNextPage) {
    return filter.search !== "" || filter.levels.length > 0 ? (
      <p className="px-4 py-6 text-sm text-ink-soft">No line passes.</p>
    ) : (
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
      onScroll={onScroll}
      className="max-h-96 overflow-auto px-4 py-3 font-mono text-xs -outline-offset-2"
    >
      {logs.hasNextPage && (
        <Button
          size="small"
          className="mb-2"
          disabled={logs.isFetchingNextPage}
          onClick={() => {
            stop();
            void logs.fetchNextPage();
          }}
        >
          {logs.isFetchingNextPage ? "Loading…" : "Older lines"}
        </Button>
      )}
      {withKeys(lines).map(({ key, line }) => (
        <p
          key={key}
          className="flex gap-3 leading-relaxed [contain-intrinsic-size:auto_1.25rem] [content-visibility:auto] max-sm:flex-wrap max-sm:gap-x-2 max-sm:gap-y-0"
        >
          <time dateTime={new Date(line.createdAt).toISOString()} title={formatUtc(line.createdAt)} className="shrink-0 text-ink-soft">
            {formatLocalClock(line.createdAt)}
          </time>
          <span className={cn("w-10 shrink-0", LEVEL_LOOKS[line.level])}>{line.level}</span>
          {nameOf !== undefined && <span className="max-w-32 shrink-0 truncate text-ink-soft">{nameOf(line.taskExternalId)}</span>}
          {attempts > 1 && <span className="shrink-0 text-ink-soft">#{line.attempt}</span>}
          <span className="min-w-0 break-words whitespace-pre-wrap">
            <AnsiText text={line.message} />
          </span>
        </p>
      ))}
    </div>
  );
}

/** Lines have no ids; those of one instant are counted. */
function withKeys(lines: readonly TenantLogLine[]): readonly { readonly key: string; readonly line: TenantLogLine }[] {
  let instant = 0;
  let count = 0;
  return lines.map((line) => {
    count = line.createdAt === instant ? count + 1 : 0;
    instant = line.createdAt;
    return { key: `${instant}-${count}`, line };
  });
}

function written(line: TenantLogLine, nameOf?: (taskId: string) => string): string {
  const name = nameOf === undefined ? "" : ` ${nameOf(line.taskExternalId)}`;
  return `${new Date(line.createdAt).toISOString()} ${line.level}${name} #${line.attempt} ${withoutAnsi(line.message)}\n`;
}
