// The one owner of the page's state: the conversation, what is being asked, and the streams that feed it.

import { useCallback, useEffect, useRef, useState } from "react";
import {
  EdgeError,
  fetchConfig,
  fetchConversation,
  forgetConversation,
  postQuestion,
  postStop,
  watchAnswer,
  type Config,
} from "../services/wire";
import { applyEvent, historyOf, newTurn, turnsOf, type Turn } from "./transcript";

const CONVERSATION_KEY = "rag-chat.conversation";
/** How often a page that is looked at asks whether the model came or went. */
const LOOK_EVERY_MS = 15_000;

function keptConversationId(): string {
  const kept = localStorage.getItem(CONVERSATION_KEY);
  if (kept !== null) return kept;
  return startConversation();
}

function startConversation(): string {
  // randomUUID exists only on secure origins; a chat on a plain http address in a private network still needs an id.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  localStorage.setItem(CONVERSATION_KEY, id);
  return id;
}

const sentenceOf = (error: unknown): string => (error instanceof EdgeError ? error.message : "Something went wrong on this page.");

export interface Chat {
  config: Config | null;
  turns: Turn[];
  /** Whether the kept conversation is here, or cannot be had. Before that nothing can be asked: it would be lost. */
  loaded: boolean;
  busy: boolean;
  problem: string | null;
  ask: (question: string, url: string, model: string | null) => Promise<boolean>;
  /** Ask a question of this conversation once more, with what was said before it. */
  again: (turn: Turn) => Promise<boolean>;
  stop: () => Promise<void>;
  startOver: () => void;
}

export function useChat(): Chat {
  const [config, setConfig] = useState<Config | null>(null);
  const [turns, setTurns] = useState<Turn[]>([]);
  const [loaded, setLoaded] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const conversationId = useRef<string>("");
  const unwatch = useRef<() => void>(() => undefined);

  const change = useCallback((messageId: string, update: (turn: Turn) => Turn) => {
    setTurns((all) => all.map((turn) => (turn.messageId === messageId ? update(turn) : turn)));
  }, []);

  const watch = useCallback(
    (messageId: string) => {
      unwatch.current();
      unwatch.current = watchAnswer(messageId, (event) => change(messageId, (turn) => applyEvent(turn, event)));
    },
    [change],
  );

  useEffect(() => {
    let current = true;
    conversationId.current = keptConversationId();
    const configured = fetchConfig()
      .then((found) => current && setConfig(found))
      .catch((error: unknown) => current && setProblem(sentenceOf(error)));
    const remembered = fetchConversation(conversationId.current)
      .then((messages) => {
        if (!current) return;
        const kept = turnsOf(messages);
        setTurns(kept);
        // A reload in the middle of an answer: everything so far comes again, so the kept text is a head start only.
        const running = kept.findLast((turn) => turn.status === "running");
        if (running?.messageId != null) watch(running.messageId);
      })
      .catch((error: unknown) => current && setProblem(sentenceOf(error)));
    void Promise.all([configured, remembered]).then(() => current && setLoaded(true));
    return () => {
      current = false;
      unwatch.current();
    };
  }, [watch]);

  useEffect(() => {
    const look = () => {
      if (document.visibilityState === "visible") fetchConfig().then(setConfig, () => undefined);
    };
    const timer = setInterval(look, LOOK_EVERY_MS);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, []);

  const send = useCallback(
    async (question: string, url: string, model: string | null, before: Turn[]): Promise<boolean> => {
      setProblem(null);
      const asked = newTurn(question, url);
      setTurns((all) => [...all, asked]);
      try {
        const accepted = await postQuestion({
          messages: historyOf(before, question),
          url,
          conversationId: conversationId.current,
          ...(model === null ? {} : { model }),
        });
        const { messageId, runId } = accepted;
        setTurns((all) => all.map((turn) => (turn === asked ? { ...turn, messageId, runId } : turn)));
        watch(messageId);
        return true;
      } catch (error) {
        setTurns((all) => all.filter((turn) => turn !== asked));
        setProblem(sentenceOf(error));
        return false;
      }
    },
    [watch],
  );

  const ask = useCallback(
    (question: string, url: string, model: string | null) => send(question, url, model, turns),
    [send, turns],
  );
  const again = useCallback(
    (turn: Turn) => {
      const known = turn.model !== null && config?.models.includes(turn.model);
      const before = turns.slice(0, turns.indexOf(turn)).filter((earlier) => earlier.question !== turn.question);
      return send(turn.question, turn.url, known ? turn.model : null, before);
    },
    [send, turns, config],
  );

  const running = turns.findLast((turn) => turn.status === "running");
  const runningId = running?.messageId ?? null;

  const stop = useCallback(async () => {
    if (runningId === null) return;
    try {
      await postStop(runningId);
    } catch (error) {
      setProblem(sentenceOf(error));
    }
  }, [runningId]);

  const startOver = useCallback(() => {
    unwatch.current();
    void forgetConversation(conversationId.current);
    conversationId.current = startConversation();
    setTurns([]);
    setProblem(null);
  }, []);

  return { config, turns, loaded, busy: running !== undefined, problem, ask, again, stop, startOver };
}
