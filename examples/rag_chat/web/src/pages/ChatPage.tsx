import { useCallback, useEffect, useRef, useState } from "react";
import { answerVersions, questionVersions, shownLine } from "../chat/tree";
import type { About, Turn } from "../chat/transcript";
import { useAbout } from "../chat/useAbout";
import { askedBefore, useChat } from "../chat/useChat";
import type { Configured } from "../chat/useConfig";
import { Answer } from "../components/Answer";
import { Composer } from "../components/Composer";
import { ConversationHeader } from "../components/ConversationHeader";
import { Question } from "../components/Question";
import { Welcome } from "../components/Welcome";
import { SourcesPanel } from "../components/SourcesPanel";
import { passagesOf } from "../services/passages";
import { isMode, MODES, type Mode } from "../services/wire";
import { followHere, go, useSearchParam, withParams } from "./route";
import { useSource } from "./useSource";

const NEAR_END_PX = 160;

interface Props {
  conversationId: string;
  /** Nothing was asked in it yet. */
  isNew: boolean;
  configured: Configured;
  /** A question was taken: the conversation has an address, and comes first in the list. */
  onAsked: (conversationId: string) => void;
  /** Its name or its link changed. */
  onChanged: () => void;
  onForgotten: () => void;
}

/** One conversation, or the beginning of one. */
export function ChatPage({ conversationId, isNew, configured, onAsked, onChanged, onForgotten }: Props) {
  const { config } = configured;
  const chat = useChat(conversationId, isNew, onAsked);
  const { turns, ask } = chat;
  const line = shownLine(turns, useSearchParam("at"));
  const last = line.at(-1);
  const { source, open, close } = useSource(line);
  const busy = last?.status === "running";
  const ready = chat.loaded && config !== null && !busy;

  const about = useAbout(isNew, last, config?.defaultUrl ?? "", line);
  const wantedMode = useSearchParam("mode");
  const mode: Mode = isMode(wantedMode) ? wantedMode : (last?.mode ?? "balanced");
  const [model, setModel] = useState<string | null>(null);

  const send = useCallback(
    (question: string, about: About, before: readonly Turn[], by: string | null, questionId: string | null = null) => {
      // What is asked now is what is shown, whichever branch was looked at.
      go(withParams({ at: null, source: null }), "replace");
      return ask({ question, about, model: by, before, questionId });
    },
    [ask],
  );
  const [url = "", ...sources] = about.addresses;
  const askNext = (question: string) => send(question, { url, sources, mode }, line, model);
  const again = (turn: Turn) => {
    const known = turn.model !== null && config?.models.includes(turn.model);
    // What it was about stays; how much is done for it is what the person has chosen by now.
    const same = { url: turn.url, sources: turn.sources, mode };
    void send(turn.question, same, askedBefore(turns, turn), model ?? (known ? turn.model : null), turn.questionId);
  };
  const edit = (turn: Turn, question: string) =>
    void send(question, { url: turn.url, sources: turn.sources, mode }, askedBefore(turns, turn), model);

  useTitle(chat.title);
  const end = useFollowedEnd(line);
  return (
    <>
      {turns.length > 0 && (
        <ConversationHeader
          conversationId={conversationId}
          title={chat.title || (line[0]?.question ?? "")}
          sharedAt={chat.sharedAt}
          line={line}
          onRenamed={(title) => {
            chat.rename(title);
            onChanged();
          }}
          onShared={(sharedAt) => {
            chat.share(sharedAt);
            onChanged();
          }}
          onForgotten={onForgotten}
        />
      )}
      <main>
        {chat.missing && turns.length === 0 && (
          <section className="welcome">
            <h1>There is no such conversation</h1>
            <p>It was deleted, or it belongs to another browser. To show yours to others, share it: that makes a link.</p>
            <p>
              <a href="/" onClick={followHere}>
                Begin a new one
              </a>
            </p>
          </section>
        )}
        {turns.length === 0 && chat.loaded && !chat.missing && (
          <Welcome config={config} url={url} onAsk={ready && url !== "" ? (question) => void askNext(question) : null} />
        )}
        {!chat.loaded && (
          <p className="label" role="status">
            Loading the conversation…
          </p>
        )}
        {line.map((turn, index) => (
          // By its place, so that walking through versions keeps the focus on the button that walks.
          <article key={index} className="turn" aria-busy={turn.status === "running"}>
            <Question turn={turn} versions={questionVersions(turns, turn)} onEdit={ready ? edit : null} nameOf={about.nameOf} />
            <Answer
              turn={turn}
              versions={answerVersions(turns, turn)}
              dashboardUrl={config?.dashboardUrl ?? null}
              onAgain={ready ? again : null}
              onJudge={(judged, feedback) => void chat.judge(judged, feedback)}
              onSource={open}
            />
          </article>
        ))}
        {ready && last !== undefined && last.suggestions.length > 0 && (
          <ul className="suggestions" aria-label="Questions that might come next">
            {last.suggestions.map((question) => (
              <li key={question}>
                <button type="button" className="quiet" onClick={() => void askNext(question)}>
                  {question}
                </button>
              </li>
            ))}
          </ul>
        )}
        <div ref={end} className="end" />
      </main>
      <footer>
        {(chat.problem ?? configured.problem) !== null && (
          <p className="error" role="alert">
            {chat.problem ?? configured.problem}
          </p>
        )}
        {wantedMode !== null && !isMode(wantedMode) && (
          <p className="error" role="alert">
            There is no mode “{wantedMode}”: it is {MODES.join(", ")}.
          </p>
        )}
        {!chat.missing && (
          <Composer
            config={config}
            loaded={chat.loaded && config !== null}
            busy={busy}
            about={about}
            mode={mode}
            onMode={(chosen) => go(withParams({ mode: chosen }), "replace")}
            model={model}
            onModel={setModel}
            onAsk={askNext}
            onStop={() => (last === undefined ? Promise.resolve() : chat.stop(last))}
          />
        )}
      </footer>
      {source?.turn.messageId != null && (
        <SourcesPanel
          turn={source.turn}
          index={source.index}
          at={passagesOf(source.turn.messageId)}
          onOpen={(index) => open(source.turn, index)}
          onClose={close}
        />
      )}
    </>
  );
}

function useTitle(title: string) {
  useEffect(() => {
    document.title = title === "" ? "Ask the docs" : `${title} · Ask the docs`;
  }, [title]);
}

/** The end of the page follows the answer while the reader is there, and leaves alone a reader who scrolled back. */
function useFollowedEnd(line: readonly Turn[]) {
  const end = useRef<HTMLDivElement>(null);
  const last = line.at(-1);
  const written = last?.text.length ?? 0;
  const asked = last !== undefined && last.messageId === null;
  useEffect(() => {
    const room = document.documentElement;
    if (room.scrollHeight - room.scrollTop - room.clientHeight < NEAR_END_PX) end.current?.scrollIntoView({ block: "end" });
  }, [written]);
  useEffect(() => {
    if (asked) end.current?.scrollIntoView({ block: "end" });
  }, [asked]);
  return end;
}
