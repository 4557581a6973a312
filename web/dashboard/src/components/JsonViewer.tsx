/**
 * JSON for reading: folds, is searched, says where a value stands, and is copied or downloaded whole.
 *
 * What is drawn is a list of lines (`json/rows.ts`). Short values wrap and are drawn whole; of long ones only the lines in
 * sight are, so that megabytes do not hold the page up.
 */
import { useVirtualizer } from "@tanstack/react-virtual";
import { useDeferredValue, useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";

import { containersFrom, countRows, findInJson, firstFolded, jsonRows, valueAt, type JsonRow } from "../json/rows";
import { CopyButton } from "./CopyButton";
import { saveFile } from "./saveFile";
import { Button } from "./ui/button";
import { cn } from "./ui/classes";

/** A value with more lines than this is drawn in part. */
const DRAWN_ROWS_MAX = 300;
const ROW_PX = 20;
/** A value with fewer lines needs no tools beside copying. */
const TOOLS_FROM_ROWS = 12;
const MATCHES_MAX = 1_000;
const NOTHING: ReadonlySet<string> = new Set();

export function JsonViewer({ label, value, empty }: { label: string; value: Readonly<Record<string, unknown>>; empty: string }) {
  if (Object.keys(value).length === 0) return <p className="px-4 py-6 text-sm text-ink-soft">{empty}</p>;
  return <JsonTree label={label} value={value} />;
}

function JsonTree({ label, value }: { label: string; value: Readonly<Record<string, unknown>> }) {
  const [folds, setFolds] = useState<{ of: unknown; folded: ReadonlySet<string> } | null>(null);
  const [whole, setWhole] = useState(NOTHING);
  const [at, setAt] = useState<string | null>(null);
  const [search, setSearch] = useState("");
  const searched = useDeferredValue(search);

  const first = useMemo(() => firstFolded(value), [value]);
  // What the reader folded holds while the value stays the one it was folded in.
  const folded = folds?.of === value ? folds.folded : first;
  const rows = useMemo(() => jsonRows(value, folded, whole), [value, folded, whole]);
  const matches = useMemo(() => findInJson(value, searched, MATCHES_MAX), [value, searched]);
  const found = useMemo(() => new Set(matches.map((match) => match.path)), [matches]);
  const hasTools = useMemo(() => countRows(value, TOOLS_FROM_ROWS) > TOOLS_FROM_ROWS, [value]);

  function setFolded(next: ReadonlySet<string>): void {
    setFolds({ of: value, folded: next });
  }

  function toggle(row: JsonRow): void {
    setAt(row.path);
    if (row.kind === "string") setWhole(new Set([...whole, row.path]));
    else setFolded(row.kind === "folded" ? without(folded, [row.path]) : new Set([...folded, row.path]));
  }

  function goToMatch(step: 1 | -1): void {
    const index = matches.findIndex((match) => match.path === at);
    const next = matches[(index === -1 && step === -1 ? 0 : index + step + matches.length) % Math.max(1, matches.length)];
    if (next === undefined) return;
    setFolded(without(folded, next.inside));
    setAt(next.path);
  }

  return (
    <div>
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-1.5">
        {hasTools && (
          <>
            <input
              type="search"
              aria-label={`Search in ${label.toLowerCase()}`}
              placeholder="Search"
              value={search}
              onChange={(event) => setSearch(event.target.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                event.preventDefault();
                goToMatch(event.shiftKey ? -1 : 1);
              }}
              className="h-6 w-32 min-w-0 flex-1 rounded-md border border-line bg-card px-2 text-xs sm:max-w-52"
            />
            {searched !== "" && (
              <>
                <span role="status" className="text-xs text-ink-soft">
                  {matches.length === 0
                    ? "Nothing found"
                    : `${(matches.findIndex((match) => match.path === at) + 1).toLocaleString()} of ${matches.length.toLocaleString()}${matches.length === MATCHES_MAX ? "+" : ""}`}
                </span>
                <Button size="small" aria-label="Previous match" disabled={matches.length === 0} onClick={() => goToMatch(-1)}>
                  ↑
                </Button>
                <Button size="small" aria-label="Next match" disabled={matches.length === 0} onClick={() => goToMatch(1)}>
                  ↓
                </Button>
              </>
            )}
            <Button size="small" variant="ghost" onClick={() => setFolded(containersFrom(value, 1))}>
              Fold
            </Button>
            <Button size="small" variant="ghost" onClick={() => setFolded(NOTHING)}>
              Unfold
            </Button>
          </>
        )}
        <span className="ml-auto flex gap-2">
          <Button
            size="small"
            aria-label={`Download ${label.toLowerCase()}`}
            onClick={() => saveFile(`${label.toLowerCase().replaceAll(" ", "-")}.json`, "application/json", JSON.stringify(value, null, 2))}
          >
            Download
          </Button>
          <CopyButton label={label} text={() => JSON.stringify(value, null, 2)} />
        </span>
      </div>
      <Lines label={label} rows={rows} at={at} found={found} onChoose={setAt} onToggle={toggle} />
      {at !== null && (
        <div className="flex items-center gap-2 border-t border-line px-3 py-1.5 text-xs">
          <code className="min-w-0 flex-1 truncate font-mono" title={at}>
            {at}
          </code>
          <CopyButton label="path" words="Copy path" text={at} />
          <CopyButton label="value" words="Copy value" text={() => JSON.stringify(valueAt(value, at), null, 2)} />
        </div>
      )}
    </div>
  );
}

function without(set: ReadonlySet<string>, paths: readonly string[]): ReadonlySet<string> {
  const left = new Set(set);
  for (const path of paths) left.delete(path);
  return left;
}

function Lines({
  label,
  rows,
  at,
  found,
  onChoose,
  onToggle,
}: {
  label: string;
  rows: readonly JsonRow[];
  at: string | null;
  found: ReadonlySet<string>;
  onChoose: (path: string) => void;
  onToggle: (row: JsonRow) => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const baseId = useId();
  const isPart = rows.length > DRAWN_ROWS_MAX;
  // eslint-disable-next-line react-hooks/incompatible-library -- what it gives is used in this component only
  const virtual = useVirtualizer({
    count: isPart ? rows.length : 0,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 20,
  });
  const indexAt = useMemo(() => (at === null ? -1 : rows.findIndex((row) => row.id === at)), [rows, at]);

  // The chosen line is brought into sight when it changes, also by a search far below.
  useEffect(() => {
    if (indexAt === -1) return;
    if (isPart) virtual.scrollToIndex(indexAt, { align: "auto" });
    else document.getElementById(`${baseId}-${indexAt}`)?.scrollIntoView({ block: "nearest" });
  }, [baseId, indexAt, isPart, virtual]);

  function onKeyDown(event: KeyboardEvent): void {
    const row = rows[indexAt];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      const ahead = step === 1 ? rows.slice(indexAt + 1) : rows.slice(0, Math.max(indexAt, 0)).toReversed();
      const next = ahead.find(isItem);
      if (next !== undefined) onChoose(next.path);
    } else if (row !== undefined && (event.key === "ArrowLeft" || event.key === "ArrowRight" || event.key === "Enter")) {
      if (row.kind === "open" && event.key !== "ArrowRight") onToggle(row);
      if ((row.kind === "folded" || isCut(row)) && event.key !== "ArrowLeft") onToggle(row);
    } else return;
    event.preventDefault();
  }

  const line = (row: JsonRow, index: number) => (
    <Line
      key={row.id}
      id={`${baseId}-${index}`}
      row={row}
      isChosen={index === indexAt}
      isFound={row.kind !== "close" && found.has(row.path)}
      wraps={!isPart}
      onChoose={onChoose}
      onToggle={onToggle}
    />
  );
  const drawn = virtual.getVirtualItems();
  return (
    <div
      ref={box}
      role="region"
      aria-label={label}
      className="max-h-96 overflow-auto font-mono text-xs leading-5"
    >
      <div
        role="tree"
        aria-label={label}
        tabIndex={0}
        aria-activedescendant={indexAt === -1 ? undefined : `${baseId}-${indexAt}`}
        onKeyDown={onKeyDown}
        className={cn("py-2 pr-4 pl-1 -outline-offset-2", isPart && "min-w-max")}
        style={isPart ? { height: virtual.getTotalSize() + 16, position: "relative" } : undefined}
      >
        {isPart
          ? drawn.map((item) => {
              const row = rows[item.index];
              if (row === undefined) return null;
              return (
                <div
                  key={row.id}
                  role="presentation"
                  className="absolute left-1"
                  style={{ top: 8, height: ROW_PX, transform: `translateY(${item.start}px)` }}
                >
                  {line(row, item.index)}
                </div>
              );
            })
          : rows.map(line)}
      </div>
    </div>
  );
}

function isItem(row: JsonRow): boolean {
  return row.kind !== "close" && row.kind !== "part";
}

function isCut(row: JsonRow): boolean {
  return row.kind === "string" && row.count > 0;
}

function Line({
  id,
  row,
  isChosen,
  isFound,
  wraps,
  onChoose,
  onToggle,
}: {
  id: string;
  row: JsonRow;
  isChosen: boolean;
  isFound: boolean;
  wraps: boolean;
  onChoose: (path: string) => void;
  onToggle: (row: JsonRow) => void;
}) {
  const folds = row.kind === "open" || row.kind === "folded";
  const item = isItem(row)
    ? {
        role: "treeitem",
        "aria-level": row.depth + 1,
        "aria-selected": isChosen,
        ...(folds && { "aria-expanded": row.kind === "open" }),
      }
    : { role: "presentation" };
  return (
    // The tree has the focus and answers to the keys; a line is only pointed at.
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions
    <div
      id={id}
      {...item}
      onClick={() => onChoose(row.path)}
      className={cn(
        "relative pl-4",
        wraps ? "break-words whitespace-pre-wrap" : "whitespace-pre",
        isFound && "bg-cancelled-soft",
        isChosen && "bg-accent-soft",
      )}
    >
      {"  ".repeat(row.depth)}
      {folds && row.depth > 0 && (
        <span
          aria-hidden="true"
          data-testid="fold"
          onClick={(event) => {
            event.stopPropagation();
            onToggle(row);
          }}
          className={cn(
            "absolute -ml-4 w-4 cursor-pointer text-center text-ink-soft select-none before:content-['▾'] hover:text-ink",
            row.kind === "folded" && "before:content-['▸']",
          )}
        />
      )}
      {row.key !== null && (
        <>
          <span className="text-accent">{JSON.stringify(row.key)}</span>
          {": "}
        </>
      )}
      <span className={LOOKS[row.kind]}>{row.text}</span>
      {row.hasComma && ","}
      {row.kind === "folded" && (
        <span className="ml-2 text-ink-soft select-none">{row.count.toLocaleString()}</span>
      )}
      {isCut(row) && (
        <button
          type="button"
          tabIndex={-1}
          className="ml-2 text-accent underline select-none"
          onClick={(event) => {
            event.stopPropagation();
            onToggle(row);
          }}
        >
          and {row.count.toLocaleString()} characters more
        </button>
      )}
      {"\n"}
    </div>
  );
}

const LOOKS: Readonly<Record<JsonRow["kind"], string>> = {
  string: "text-completed",
  part: "text-completed",
  number: "text-running",
  word: "text-running",
  open: "",
  folded: "",
  empty: "",
  close: "",
};
