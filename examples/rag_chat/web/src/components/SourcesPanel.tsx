import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { atWords } from "../chat/fragment";
import type { Turn } from "../chat/transcript";
import { fetchPassage, type OpenPassage, type PassagesAt, type Piece } from "../services/passages";
import { sentenceOf, type Citation } from "../services/wire";
import { BackIcon, CloseIcon } from "./icons";
import { Outward } from "./Outward";
import { PassageText } from "./PassageText";

interface Props {
  turn: Turn;
  /** The passage that is open; null shows the list of all. */
  index: number | null;
  at: PassagesAt;
  onOpen: (index: number | null) => void;
  onClose: () => void;
}

/** What an answer rests on: all passages that were found, or one of them in its surroundings. */
export function SourcesPanel({ turn, index, at, onOpen, onClose }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  // Whoever opens something reads on there.
  useEffect(() => heading.current?.focus(), [index, at]);
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape") onClose();
  };
  const found = turn.found.length > 0 ? turn.found : turn.citations;
  return (
    <aside className="panel" aria-label="Sources" onKeyDown={onKey}>
      <div className="top">
        {index !== null && (
          <button type="button" className="icon" aria-label="All sources" title="All sources" onClick={() => onOpen(null)}>
            <BackIcon />
          </button>
        )}
        <h2 ref={heading} tabIndex={-1}>
          {index === null ? "Sources" : `Source ${index}`}
        </h2>
        <button type="button" className="icon" aria-label="Close the sources" title="Close" onClick={onClose}>
          <CloseIcon />
        </button>
      </div>
      {index === null ? <FoundList turn={turn} found={found} onOpen={onOpen} /> : <Passage key={`${at}/${index}`} at={at} index={index} />}
    </aside>
  );
}

/** In which of three ways a passage took part in an answer. */
function groupsOf(turn: Turn, found: Citation[]): [string, Citation[]][] {
  const cited = new Set(turn.status === "complete" ? turn.citations.map((citation) => citation.index) : []);
  const given = (citation: Citation) => found.indexOf(citation) < turn.given;
  const groups: [string, Citation[]][] = [
    ["The answer refers to", found.filter((each) => cited.has(each.index))],
    ["Read, and not referred to", found.filter((each) => !cited.has(each.index) && given(each))],
    [turn.status === "complete" ? "Left out, as the model’s window was full" : "Found", found.filter((each) => !cited.has(each.index) && !given(each))],
  ];
  return groups.filter(([, members]) => members.length > 0);
}

function FoundList({ turn, found, onOpen }: { turn: Turn; found: Citation[]; onOpen: (index: number) => void }) {
  if (found.length === 0) return <p className="label">No passage was found.</p>;
  const unread = turn.steps.find((step) => step.step === "load_docs")?.notes.slice(1) ?? [];
  return (
    <>
      {groupsOf(turn, found).map(([name, members]) => (
        <section key={name}>
          <h3>{name}</h3>
          <ul className="found">
            {members.map((citation) => (
              <li key={citation.index}>
                <button type="button" onClick={() => onOpen(citation.index)}>
                  <span className="number">{citation.index}</span>
                  <span>
                    <strong>{citation.heading || citation.title}</strong>
                    <span className="quote">{citation.quote}</span>
                    {citation.score !== null && <Score score={citation.score} />}
                  </span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      ))}
      {unread.length > 0 && (
        <section>
          <h3>Not read</h3>
          <ul className="unread">
            {unread.map((sentence) => (
              <li key={sentence}>{sentence}</li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

/** How well a passage fits, of the most that was possible. */
function Score({ score }: { score: number }) {
  const percent = Math.round(score * 100);
  return (
    <span className="score">
      <span className="bar" style={{ width: `${percent}%` }} />
      <span>fits {percent} %</span>
    </span>
  );
}

function Passage({ at, index }: { at: PassagesAt; index: number }) {
  const [passage, setPassage] = useState<OpenPassage | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const mark = useRef<HTMLElement>(null);
  useEffect(() => {
    let current = true;
    fetchPassage(at, index)
      .then((found) => current && setPassage(found))
      .catch((error: unknown) => current && setProblem(sentenceOf(error)));
    return () => {
      current = false;
    };
  }, [at, index]);
  useEffect(() => {
    if (passage !== null) mark.current?.scrollIntoView({ block: "center" });
  }, [passage]);

  if (problem !== null)
    return (
      <p className="error" role="alert">
        {problem}
      </p>
    );
  if (passage === null)
    return (
      <p className="label" role="status">
        Opening the passage…
      </p>
    );
  return (
    <>
      <p className="from">
        <strong>{passage.title}</strong>
        <Outward href={atWords(passage.url, passage.text)}>Open the page at this passage</Outward>
      </p>
      {passage.changed && (
        <p className="notice">The page has changed since. This is the passage as it was when the answer was made.</p>
      )}
      <div className="text around">
        {passage.before.map((piece, number) => (
          <Surrounding key={number} piece={piece} />
        ))}
        <section ref={mark} className="marked" aria-label="The passage">
          <Surrounding piece={{ heading: passage.heading, text: passage.text }} />
        </section>
        {passage.after.map((piece, number) => (
          <Surrounding key={number} piece={piece} />
        ))}
      </div>
    </>
  );
}

function Surrounding({ piece }: { piece: Piece }) {
  return (
    <>
      <h3>{piece.heading}</h3>
      <PassageText text={piece.text} />
    </>
  );
}
