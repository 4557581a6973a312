import { useEffect, useMemo, useState } from "react";
import Markdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { citationOf, linkCitations } from "../chat/citations";
import { answerAsMarkdown } from "../chat/markdown";
import type { Turn } from "../chat/transcript";
import { safeLink, type Citation } from "../services/wire";
import { AxeIcon } from "./icons";
import { StepProgress } from "./StepProgress";

/** Longer than a model pauses between two words; the engine needs about half a minute to miss a worker. */
const QUIET_AFTER_MS = 8_000;

interface Props {
  turn: Turn;
  dashboardUrl: string;
  /** Asks the question once more; null while nothing can be asked. */
  onAgain: ((turn: Turn) => Promise<boolean>) | null;
}

/** One question and its answer, however far it is. */
export function Answer({ turn, dashboardUrl, onAgain }: Props) {
  const quiet = useQuiet(turn);
  return (
    <article className="turn" aria-busy={turn.status === "running"}>
      <div className="question">
        <p>{turn.question}</p>
        <p className="about">{turn.url}</p>
      </div>
      <div className="answer">
        {turn.runId !== null && (
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
          {turn.status === "running" && <StepProgress stage={turn.stage} detail={turn.detail} />}
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
          {turn.text !== "" && <AnswerText text={turn.text} citations={turn.citations} writing={turn.status === "running"} />}
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
          {turn.status === "complete" && turn.citations.length > 0 && <Sources citations={turn.citations} />}
          {turn.model !== null && <p className="label">Answered by {turn.model}</p>}
          {turn.status !== "running" && (
            <p className="doings">
              {turn.text !== "" && <CopyButton text={answerAsMarkdown(turn)} />}
              <button type="button" className="quiet" disabled={onAgain === null} onClick={() => void onAgain?.(turn)}>
                Ask again
              </button>
            </p>
          )}
        </div>
      </div>
    </article>
  );
}

function CopyButton({ text }: { text: string }) {
  const [said, setSaid] = useState("Copy");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      // Browsers lend the clipboard to secure pages only.
      setSaid("The browser does not allow it");
    }
  };
  return (
    <button type="button" className="quiet" onClick={() => void copy()} aria-live="polite">
      {said}
    </button>
  );
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

function AnswerText({ text, citations, writing }: { text: string; citations: Citation[]; writing: boolean }) {
  const known = useMemo(() => new Map(citations.map((citation) => [citation.index, citation])), [citations]);
  const markdown = useMemo(() => linkCitations(text, new Set(known.keys())), [text, known]);
  const components = useMemo<Components>(
    () => ({
      a: ({ href, children }) => {
        const citation = known.get(citationOf(href) ?? -1);
        return citation === undefined ? <Outward href={href ?? ""}>{children}</Outward> : <Chip citation={citation} />;
      },
      // Pictures in an answer would be fetched from wherever a page or a model says.
      img: ({ alt }) => <>{alt}</>,
    }),
    [known],
  );
  return (
    <div className={writing ? "text writing" : "text"} data-testid="answer">
      <Markdown remarkPlugins={[remarkGfm]} components={components}>
        {markdown}
      </Markdown>
    </div>
  );
}

function Chip({ citation }: { citation: Citation }) {
  const name = `Source ${citation.index}: ${citation.title}`;
  return (
    <Outward href={citation.url} className="chip" label={name} title={`${citation.title}: ${citation.quote}`}>
      {citation.index}
    </Outward>
  );
}

function Sources({ citations }: { citations: Citation[] }) {
  return (
    <section className="sources" aria-label="Sources">
      <h2>Sources</h2>
      <ol>
        {citations.map((citation) => (
          <li key={citation.index} value={citation.index}>
            <Outward href={citation.url}>
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

interface OutwardProps {
  href: string;
  children: React.ReactNode;
  className?: string;
  label?: string;
  title?: string;
}

/** A link to another site, or plain text when the address is not one. */
function Outward({ href, children, className, label, title }: OutwardProps) {
  const link = safeLink(href);
  if (link === null) return <span className={className}>{children}</span>;
  return (
    <a href={link} target="_blank" rel="noreferrer" className={className} aria-label={label} title={title}>
      {children}
    </a>
  );
}
