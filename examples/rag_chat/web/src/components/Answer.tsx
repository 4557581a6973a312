import { useCallback, useEffect, useState } from "react";
import { answerAsMarkdown } from "../chat/markdown";
import { stagesOf, type Turn } from "../chat/transcript";
import type { Versions } from "../chat/tree";
import type { Citation, Feedback } from "../services/wire";
import { AnswerText } from "./AnswerText";
import { CopyButton } from "./CopyButton";
import { AgainIcon, AxeIcon, BadIcon, GoodIcon } from "./icons";
import { Outward } from "./Outward";
import { StepsTaken } from "./StepsTaken";
import { StepProgress } from "./StepProgress";
import { VersionSwitch } from "./VersionSwitch";

/** Longer than a model pauses between two words; the engine needs about half a minute to miss a worker. */
const QUIET_AFTER_MS = 8_000;

interface Props {
  turn: Turn;
  versions: Versions | null;
  /** Where the run behind an answer is shown; null for readers who may not see it. */
  dashboardUrl: string | null;
  /** Asks for another answer; null while nothing can be asked. */
  onAgain: ((turn: Turn) => void) | null;
  /** Keeps what the person thinks of the answer; null where that is not theirs to say. */
  onJudge: ((turn: Turn, feedback: Feedback | null) => void) | null;
  /** Opens a passage of a finished answer, or the list of all. */
  onSource: (turn: Turn, index: number | null) => void;
}

/** An answer, however far it is. */
export function Answer({ turn, versions, dashboardUrl, onAgain, onJudge, onSource }: Props) {
  const quiet = useQuiet(turn);
  const finished = turn.status !== "running";
  const open = useCallback((index: number) => onSource(turn, index), [onSource, turn]);
  return (
    <div className="answer">
      {turn.runId !== null && dashboardUrl !== null && (
        <a
          className="axe"
          href={`${dashboardUrl}/runs/${encodeURIComponent(turn.runId)}`}
          target="_blank"
          rel="noreferrer"
          aria-label="Show the run behind this answer"
          title="Show the run behind this answer"
        >
          <AxeIcon />
        </a>
      )}
      <div className="words">
        {turn.status === "running" && <StepProgress stages={stagesOf(turn)} stage={turn.stage} detail={turn.detail} />}
        <SearchedFor turn={turn} />
        {turn.notice !== "" && (
          <p className="notice" role="status">
            {turn.notice}
          </p>
        )}
        {turn.reasoning !== "" && (
          <details className="thoughts">
            <summary>What the model thought</summary>
            <p>{turn.reasoning}</p>
          </details>
        )}
        {turn.extractive && <p className="label">Quoted passages, no language model</p>}
        {turn.notSaid && <p className="label not-said">The sources do not say</p>}
        {turn.text !== "" && (
          <AnswerText text={turn.text} citations={turn.citations} writing={!finished} onOpen={finished ? open : null} />
        )}
        {turn.notices.map((notice) => (
          <p key={notice} className="notice">
            {notice}
          </p>
        ))}
        {quiet && turn.notice === "" && (
          <p className="notice" role="status">
            Still working… Should the worker be lost, another one takes over within a minute, by itself.
          </p>
        )}
        {turn.error !== null && (
          <p className="error" role="alert">
            {turn.error}
          </p>
        )}
        {turn.status === "cancelled" && <p className="label">Stopped</p>}
        {turn.status === "complete" && turn.citations.length > 0 && <Sources citations={turn.citations} onOpen={open} />}
        {turn.status === "failed" && turn.found.length > 0 && <Sources name="Passages that were found" citations={turn.found} onOpen={open} />}
        {turn.model !== null && <p className="label">Answered by {turn.model}</p>}
        {finished && <StepsTaken steps={turn.steps} />}
        {finished && (
          <p className="doings">
            {turn.text !== "" && <CopyButton key={turn.messageId} text={answerAsMarkdown(turn)} label="Copy the answer" />}
            {onAgain !== null && (
              <button type="button" className="icon" aria-label="Ask again" title="Ask again" onClick={() => onAgain(turn)}>
                <AgainIcon />
              </button>
            )}
            {onJudge !== null && turn.status === "complete" && <Thumbs turn={turn} onJudge={onJudge} />}
            {turn.found.length > 0 && (
              <button type="button" className="quiet all" onClick={() => onSource(turn, null)}>
                {turn.found.length === 1 ? "1 source" : `${turn.found.length} sources`}
              </button>
            )}
            <VersionSwitch versions={versions} of="answer" />
          </p>
        )}
      </div>
    </div>
  );
}

/** What was looked for in the place of the question; of a thorough answer, its plan. */
function SearchedFor({ turn }: { turn: Turn }) {
  if (turn.searchedFor.length === 0) return null;
  if (turn.mode !== "thorough") return <p className="label">Searched for “{turn.searchedFor.join("” and “")}”</p>;
  return (
    <details className="folded plan" open={turn.status === "running"}>
      <summary>Plan: {turn.searchedFor.length === 1 ? "1 question" : `${turn.searchedFor.length} questions`}</summary>
      <ol>
        {turn.searchedFor.map((question) => (
          <li key={question}>{question}</li>
        ))}
      </ol>
    </details>
  );
}

const THUMBS = [
  { feedback: "good", label: "A good answer", Icon: GoodIcon },
  { feedback: "bad", label: "A bad answer", Icon: BadIcon },
] as const;

function Thumbs({ turn, onJudge }: { turn: Turn; onJudge: (turn: Turn, feedback: Feedback | null) => void }) {
  return THUMBS.map(({ feedback, label, Icon }) => {
    const pressed = turn.feedback === feedback;
    return (
      <button
        key={feedback}
        type="button"
        className="icon"
        aria-label={label}
        title={label}
        aria-pressed={pressed}
        onClick={() => onJudge(turn, pressed ? null : feedback)}
      >
        <Icon />
      </button>
    );
  });
}

/** Whether an unfinished answer has had no news for a while. Every piece of news makes a new turn. */
function useQuiet(turn: Turn): boolean {
  const [quietTurn, setQuietTurn] = useState<Turn | null>(null);
  useEffect(() => {
    if (turn.status !== "running") return;
    const timer = setTimeout(() => setQuietTurn(turn), QUIET_AFTER_MS);
    return () => clearTimeout(timer);
  }, [turn]);
  return quietTurn === turn;
}

function Sources({ name = "Sources", citations, onOpen }: { name?: string; citations: Citation[]; onOpen: (index: number) => void }) {
  return (
    <section className="sources">
      <h2>{name}</h2>
      <ol>
        {citations.map((citation) => (
          <li key={citation.index} value={citation.index}>
            <Outward href={citation.url} onFollow={() => onOpen(citation.index)}>
              <span className="number">{citation.index}</span>
              <span>
                <strong>{citation.heading === "" ? citation.title : `${citation.title}: ${citation.heading}`}</strong>
                <span className="quote">{citation.quote}</span>
              </span>
            </Outward>
          </li>
        ))}
      </ol>
    </section>
  );
}
