/**
 * The search box of a list: one line in the language of `search/grammar.ts`, with suggestions for the term at the caret.
 * Enter takes the marked suggestion, or looks; what cannot be understood is explained under the box and nothing changes.
 */
import { useId, useRef, useState, type KeyboardEvent } from "react";

import { formatQuery, parseQuery, type RunQuery } from "../../search/grammar";
import { suggest, type Known, type Suggestion } from "../../search/suggest";
import { Button } from "../ui/button";
import { cn } from "../ui/classes";
import { Input } from "../ui/field";

export function QueryBox({ label, query, known, onSearch }: { label: string; query: RunQuery; known: Known; onSearch: (query: RunQuery) => void }) {
  const shown = formatQuery(query);
  const [text, setText] = useState(shown);
  const [given, setGiven] = useState(shown);
  const [problems, setProblems] = useState<readonly string[]>([]);
  const [caret, setCaret] = useState<number | null>(null);
  const [marked, setMarked] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  if (shown !== given) {
    // The address has changed by itself: back, or a filter that was taken away.
    setGiven(shown);
    setText(shown);
    setProblems([]);
  }
  const offered = caret === null ? [] : suggest(text, caret, known);

  function search(): void {
    const parsed = parseQuery(text);
    setProblems(parsed.problems);
    setCaret(null);
    if (parsed.problems.length === 0) onSearch(parsed.query);
  }

  function take(chosen: Suggestion): void {
    setText(chosen.text);
    setMarked(-1);
    setCaret(chosen.caret);
    requestAnimationFrame(() => input.current?.setSelectionRange(chosen.caret, chosen.caret));
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (caret === null) setCaret(input.current?.selectionStart ?? text.length);
      else setMarked((before) => Math.max(-1, Math.min(offered.length - 1, before + (event.key === "ArrowDown" ? 1 : -1))));
    } else if (event.key === "Escape" && caret !== null) {
      event.stopPropagation();
      setCaret(null);
    } else if (event.key === "Enter") {
      event.preventDefault();
      const chosen = offered[marked];
      if (chosen === undefined) search();
      else take(chosen);
    }
  }

  function follow(target: HTMLInputElement): void {
    setCaret(target.selectionStart);
    setMarked(-1);
  }

  const isOpen = offered.length > 0;
  return (
    <search className="relative min-w-0 flex-1 basis-80">
      <div className="flex gap-2">
        <Input
          ref={input}
          role="combobox"
          aria-label={label}
          aria-autocomplete="list"
          aria-expanded={isOpen}
          aria-controls={`${id}-list`}
          {...(isOpen && marked >= 0 && { "aria-activedescendant": `${id}-${marked}` })}
          aria-invalid={problems.length > 0}
          aria-describedby={problems.length > 0 ? `${id}-problem` : undefined}
          placeholder="status:failed workflow:orders tenant=acme"
          spellCheck={false}
          autoComplete="off"
          autoCapitalize="off"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setProblems([]);
            follow(event.target);
          }}
          onFocus={(event) => follow(event.target)}
          onClick={(event) => follow(event.currentTarget)}
          onKeyDown={onKeyDown}
          onBlur={() => setCaret(null)}
          className="font-mono text-xs"
        />
        <Button onClick={search}>Search</Button>
      </div>
      <div
        id={`${id}-list`}
        role="listbox"
        aria-label="Suggestions"
        className={cn("absolute z-20 mt-1 max-h-72 w-full overflow-auto rounded-md border border-line bg-card py-1 shadow-lg", !isOpen && "hidden")}
      >
        {offered.map((one, at) => (
          // The keyboard reaches suggestions from the box, which keeps the focus.
          // eslint-disable-next-line jsx-a11y/click-events-have-key-events
          <div
            key={one.term}
            id={`${id}-${at}`}
            role="option"
            tabIndex={-1}
            aria-selected={at === marked}
            // Before the box loses the focus and the list with it.
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => take(one)}
            className={cn("flex cursor-pointer flex-wrap justify-between gap-x-4 px-3 py-1 text-xs hover:bg-sunken", at === marked && "bg-sunken")}
          >
            <span className="font-mono break-all">{one.term}</span>
            <span className="text-ink-soft">{one.hint}</span>
          </div>
        ))}
      </div>
      {problems.length > 0 && (
        <p id={`${id}-problem`} role="alert" className="mt-1 text-xs text-failed">
          {problems.join(" ")}
        </p>
      )}
    </search>
  );
}
