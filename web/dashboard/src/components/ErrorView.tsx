/** An error: what happened, where in the reader's own code, and the way there with libraries folded. */
import { useMemo, useState } from "react";

import { readTraceback, shortFile, type Frame, type Part } from "../errors/traceback";
import { AnsiText, withoutAnsi } from "./AnsiText";
import { CopyButton } from "./CopyButton";
import { errorText } from "./errorSummary";
import { Button } from "./ui/button";

export function ErrorView({ label, text }: { label: string; text: string }) {
  const [isRaw, setIsRaw] = useState(false);
  const whole = useMemo(() => errorText(text), [text]);
  const read = useMemo(() => readTraceback(whole), [whole]);
  return (
    <div
      role="region"
      aria-label={label}
      // A scrollable region must be reachable by keyboard to be scrolled by keyboard.
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
      tabIndex={0}
      className="max-h-[32rem] overflow-auto px-4 py-3 font-mono text-xs leading-relaxed -outline-offset-2"
    >
      <div className="flex items-start justify-between gap-3">
        <p className="min-w-0 break-words whitespace-pre-wrap text-failed">
          <AnsiText text={read.message} />
        </p>
        <span className="flex shrink-0 gap-2">
          {read.parts.length > 0 && (
            <Button size="small" aria-pressed={isRaw} onClick={() => setIsRaw(!isRaw)}>
              As it came
            </Button>
          )}
          <CopyButton label={label} text={() => withoutAnsi(whole)} />
        </span>
      </div>
      {isRaw ? (
        <pre className="mt-2 break-words whitespace-pre-wrap">
          <AnsiText text={whole} />
        </pre>
      ) : (
        <>
          {read.origin !== null && (
            <div className="mt-2 rounded-md border border-line bg-sunken px-3 py-2">
              <p className="font-sans text-ink-soft">In your code</p>
              <FrameView frame={read.origin} />
            </div>
          )}
          {read.parts.length > 0 && (
            <details className="mt-2" open={read.origin === null}>
              <summary className="font-sans text-ink-soft">The way there ({countFrames(read.parts)} frames)</summary>
              <ol className="mt-1 space-y-1.5">
                {read.parts.map((part, index) => (
                  <li key={index}>
                    <PartView part={part} />
                  </li>
                ))}
              </ol>
            </details>
          )}
        </>
      )}
    </div>
  );
}

function countFrames(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + (part.kind === "library" ? part.frames.length : part.kind === "own" ? 1 : 0), 0);
}

function PartView({ part }: { part: Part }) {
  if (part.kind === "text") return <p className="break-words whitespace-pre-wrap text-failed">{part.text}</p>;
  if (part.kind === "own") return <FrameView frame={part.frame} />;
  return (
    <details>
      <summary className="text-ink-soft">
        {part.frames.length === 1 ? "1 frame" : `${part.frames.length} frames`} of libraries
      </summary>
      <ol className="mt-1 space-y-1.5 border-l border-line pl-3 text-ink-soft">
        {part.frames.map((frame, index) => (
          <li key={index}>
            <FrameView frame={frame} />
          </li>
        ))}
      </ol>
    </details>
  );
}

function FrameView({ frame }: { frame: Frame }) {
  return (
    <>
      <p className="break-all" title={frame.file}>
        {shortFile(frame.file)}
        {frame.line !== null && `:${frame.line}`}
        {frame.name !== "" && <span className="text-ink-soft"> in {frame.name}</span>}
      </p>
      {frame.source !== "" && <pre className="overflow-x-auto pl-4 whitespace-pre">{frame.source}</pre>}
    </>
  );
}
