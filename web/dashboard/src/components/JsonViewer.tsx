/** JSON for reading: coloured, scrollable, copied whole. Very long values are shown in part until asked for. */
import { useState } from "react";

import { CopyButton } from "./CopyButton";
import { Button } from "./ui/button";

const SHOWN_CHARS_MAX = 60_000;
/** Colours make an element of every token; beyond this a text is shown without them, or the page would stand still. */
const COLOURED_CHARS_MAX = 200_000;

export function JsonViewer({ label, value, empty }: { label: string; value: Readonly<Record<string, unknown>>; empty: string }) {
  const [whole, setWhole] = useState(false);
  if (Object.keys(value).length === 0) return <p className="px-4 py-6 text-sm text-ink-soft">{empty}</p>;

  const text = JSON.stringify(value, null, 2);
  const shown = whole ? text : text.slice(0, SHOWN_CHARS_MAX);
  return (
    <div className="relative">
      <div className="absolute top-2 right-3">
        <CopyButton label={label} text={text} />
      </div>
      <pre
        role="region"
        aria-label={label}
        // A scrollable region must be reachable by keyboard to be scrolled by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        className="max-h-96 overflow-auto px-4 py-3 pr-20 font-mono text-xs leading-relaxed break-words whitespace-pre-wrap -outline-offset-2"
      >
        {shown.length > COLOURED_CHARS_MAX ? shown : colour(shown)}
      </pre>
      {shown.length < text.length && (
        <div className="border-t border-line px-4 py-2 text-xs text-ink-soft">
          Showing {shown.length.toLocaleString()} of {text.length.toLocaleString()} characters.{" "}
          <Button size="small" onClick={() => setWhole(true)}>
            Show all
          </Button>
        </div>
      )}
    </div>
  );
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function colour(text: string) {
  const parts = [];
  let last = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > last) parts.push(text.slice(last, match.index));
    const [token, string, colon] = match;
    if (string !== undefined && colon !== undefined) {
      parts.push(
        <span key={match.index} className="text-accent">
          {string}
        </span>,
        colon,
      );
    } else {
      parts.push(
        <span key={match.index} className={string === undefined ? "text-running" : "text-completed"}>
          {token}
        </span>,
      );
    }
    last = match.index + token.length;
  }
  parts.push(text.slice(last));
  return parts;
}
