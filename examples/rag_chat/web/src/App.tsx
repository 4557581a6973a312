import { useEffect, useRef } from "react";
import { conversationAsMarkdown, saveAs } from "./chat/markdown";
import { useChat } from "./chat/useChat";
import { Answer } from "./components/Answer";
import { Composer } from "./components/Composer";
import { AxeIcon } from "./components/icons";

const NEAR_END_PX = 160;

export function App() {
  const { config, turns, loaded, busy, problem, ask, again, stop, startOver } = useChat();
  const end = useRef<HTMLDivElement>(null);
  const asked = turns.length;
  const written = turns.at(-1)?.text.length ?? 0;

  // Follow the answer while the reader is at its end; leave alone a reader who scrolled back.
  useEffect(() => {
    const room = document.documentElement;
    if (room.scrollHeight - room.scrollTop - room.clientHeight < NEAR_END_PX) end.current?.scrollIntoView({ block: "end" });
  }, [written]);
  useEffect(() => {
    if (asked > 0) end.current?.scrollIntoView({ block: "end" });
  }, [asked]);

  return (
    <div className="page">
      <header>
        {/* The page has one main heading, whether it greets or shows a conversation. */}
        {turns.length === 0 ? (
          <span className="brand">
            <AxeIcon /> Ask the docs
          </span>
        ) : (
          <h1 className="brand">
            <AxeIcon /> Ask the docs
          </h1>
        )}
        {turns.length > 0 && (
          <span className="doings">
            <button type="button" className="quiet" onClick={() => saveAs("conversation.md", conversationAsMarkdown(turns))} disabled={busy}>
              Save as Markdown
            </button>
            <button type="button" className="quiet" onClick={startOver} disabled={busy}>
              New conversation
            </button>
          </span>
        )}
      </header>
      <main>
        {turns.length === 0 && (
          <section className="welcome">
            <h1>What would you like to know?</h1>
            <p>Give a page, ask a question. The answer comes with links to the passages it rests on.</p>
            {config !== null && config.modelProblem !== null && (
              <p className="notice" role="status">
                {config.modelProblem} Until then, answers are quoted passages.
              </p>
            )}
          </section>
        )}
        {turns.map((turn, index) => (
          <Answer key={turn.messageId ?? `new-${index}`} turn={turn} dashboardUrl={config?.dashboardUrl ?? ""} onAgain={busy ? null : again} />
        ))}
        <div ref={end} className="end" />
      </main>
      <footer>
        {problem !== null && (
          <p className="error" role="alert">
            {problem}
          </p>
        )}
        <Composer config={config} loaded={loaded} busy={busy} onAsk={ask} onStop={stop} />
      </footer>
    </div>
  );
}
