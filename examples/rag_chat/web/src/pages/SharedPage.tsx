import { useEffect, useState } from "react";
import { conversationAsMarkdown, saveAs } from "../chat/markdown";
import { turnsOf, type Turn } from "../chat/transcript";
import { Answer } from "../components/Answer";
import { SaveIcon } from "../components/icons";
import { Question } from "../components/Question";
import { fetchShared } from "../services/conversations";
import { sentenceOf } from "../services/wire";
import { SourcesPanel } from "../components/SourcesPanel";
import { sharedPassagesOf } from "../services/passages";
import { followHere } from "./route";
import { useSource } from "./useSource";

const NONE: Turn[] = [];

/** A conversation that somebody shared: to be read, and nothing else. */
export function SharedPage({ link }: { link: string }) {
  const [shared, setShared] = useState<{ title: string; turns: Turn[] } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const { source, open, close } = useSource(shared?.turns ?? NONE);
  useEffect(() => {
    let current = true;
    fetchShared(link)
      .then(({ title, messages }) => {
        if (!current) return;
        setShared({ title, turns: turnsOf(messages) });
        document.title = `${title} · Ask the docs`;
      })
      .catch((error: unknown) => current && setProblem(sentenceOf(error)));
    return () => {
      current = false;
    };
  }, [link]);

  if (problem !== null)
    return (
      <main>
        <section className="welcome">
          <h1>Nothing to read here</h1>
          <p role="alert">{problem}</p>
          <p>
            <a href="/" onClick={followHere}>
              Ask something yourself
            </a>
          </p>
        </section>
      </main>
    );
  if (shared === null)
    return (
      <main>
        <p className="label" role="status">
          Loading the conversation…
        </p>
      </main>
    );
  return (
    <>
      <header>
        <span className="title">
          <h1>{shared.title}</h1>
        </span>
        <span className="doings">
          <button
            type="button"
            className="icon"
            aria-label="Save as Markdown"
            title="Save as Markdown"
            onClick={() => saveAs("conversation.md", conversationAsMarkdown(shared.turns))}
          >
            <SaveIcon />
          </button>
        </span>
      </header>
      <main>
        <p className="label">Somebody shared this conversation with you. It can be read, not changed.</p>
        {shared.turns.map((turn) => (
          <article key={turn.messageId} className="turn">
            <Question turn={turn} versions={null} onEdit={null} />
            <Answer turn={turn} versions={null} dashboardUrl={null} onAgain={null} onJudge={null} onSource={open} />
          </article>
        ))}
        <p>
          <a href="/" onClick={followHere}>
            Ask something yourself
          </a>
        </p>
      </main>
      {source?.turn.messageId != null && (
        <SourcesPanel
          turn={source.turn}
          index={source.index}
          at={sharedPassagesOf(link, source.turn.messageId)}
          onOpen={(index) => open(source.turn, index)}
          onClose={close}
        />
      )}
    </>
  );
}
