/** What the tasks of a run stream while they run, from when this is open on: the engine does not keep it. */
import { useEffect, useState } from "react";

import { followChunks } from "../../services/runFacts";
import { AnsiText } from "../AnsiText";
import { CopyButton } from "../CopyButton";
import { useFollowedEnd } from "../useFollowedEnd";

/** Of more than this the beginning is forgotten. */
const CHARS_MAX = 200_000;

type Phase = "following" | "over" | "trouble";

export function StreamView({ runId, taskId }: { runId: string; taskId: string }) {
  const [text, setText] = useState("");
  const [phase, setPhase] = useState<Phase>("following");

  useEffect(
    () =>
      followChunks(runId, {
        chunk: (of, piece) => {
          setPhase("following");
          if (of === taskId) setText((before) => (before + piece).slice(-CHARS_MAX));
        },
        end: () => setPhase("over"),
        trouble: () => setPhase((before) => (before === "over" ? before : "trouble")),
      }),
    [runId, taskId],
  );
  const { box, onScroll } = useFollowedEnd<HTMLPreElement>(text);

  return (
    <div>
      <div className="flex items-center justify-between gap-2 border-b border-line px-4 py-1.5 text-xs text-ink-soft">
        <span role="status">
          {phase === "following" && "Live. What was streamed before this was opened is not kept by the engine."}
          {phase === "over" && "The run is over. What it streamed is not kept by the engine."}
          {phase === "trouble" && "The engine does not answer; it is tried again."}
        </span>
        {text !== "" && <CopyButton label="stream" text={text} />}
      </div>
      <pre
        ref={box}
        role="region"
        aria-label="Stream"
        // A scrollable region must be reachable by keyboard to be scrolled by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        onScroll={onScroll}
        className="max-h-96 min-h-24 overflow-auto px-4 py-3 font-mono text-xs leading-relaxed break-words whitespace-pre-wrap -outline-offset-2"
      >
        <AnsiText text={text} />
      </pre>
    </div>
  );
}
