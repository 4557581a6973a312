// The one owner of a conversation's state: its turns on all branches, what is being asked, and the streams that feed them.

import { useCallback, useEffect, useRef, useState } from "react";
import { fetchConversation } from "../services/conversations";
import { postQuestion, postStop, putFeedback, sentenceOf, watchAnswer, type Feedback } from "../services/wire";
import { applyEvent, historyOf, newTurn, turnsOf, type About, type Turn } from "./transcript";
import { lineTo } from "./tree";

export interface Asking {
  question: string;
  about: About;
  model: string | null;
  /** What was said before it, oldest first. */
  before: readonly Turn[];
  /** A question of this conversation that gets another answer. */
  questionId?: string | null;
}

export interface Chat {
  /** All branches, in the order in which they were asked; the last one may be on its way to the edge. */
  turns: Turn[];
  title: string;
  sharedAt: string | null;
  /** Whether the kept conversation is here, or cannot be had. Before that nothing can be asked: it would be lost. */
  loaded: boolean;
  /** There is no such conversation, or it is somebody else's. */
  missing: boolean;
  problem: string | null;
  /** Whether the edge took it. */
  ask: (asking: Asking) => Promise<boolean>;
  stop: (turn: Turn) => Promise<void>;
  judge: (turn: Turn, feedback: Feedback | null) => Promise<void>;
  rename: (title: string) => void;
  share: (sharedAt: string | null) => void;
}

/** `isNew` says that nothing is kept of it yet, at the time it is first shown. */
export function useChat(conversationId: string, isNew: boolean, onAsked: (conversationId: string) => void): Chat {
  const [begins] = useState(isNew);
  const [turns, setTurns] = useState<Turn[]>([]);
  const [pending, setPending] = useState<Turn | null>(null);
  const [title, setTitle] = useState("");
  const [sharedAt, setSharedAt] = useState<string | null>(null);
  const [loaded, setLoaded] = useState(begins);
  const [missing, setMissing] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const watched = useRef(new Map<string, () => void>());

  const change = useCallback((messageId: string, update: (turn: Turn) => Turn) => {
    setTurns((all) => all.map((turn) => (turn.messageId === messageId ? update(turn) : turn)));
  }, []);

  const watch = useCallback(
    (messageId: string) => {
      const end = watchAnswer(messageId, (event) => change(messageId, (turn) => applyEvent(turn, event)));
      watched.current.set(messageId, end);
    },
    [change],
  );

  useEffect(() => {
    const streams = watched.current;
    let current = true;
    if (!begins) {
      fetchConversation(conversationId)
        .then((conversation) => {
          if (!current) return;
          const kept = turnsOf(conversation.messages);
          setTurns(kept);
          setTitle(conversation.title);
          setSharedAt(conversation.sharedAt);
          setMissing(kept.length === 0);
          // A reload in the middle of an answer: everything so far comes again, so the kept text is a head start only.
          for (const turn of kept) if (turn.status === "running" && turn.messageId !== null) watch(turn.messageId);
        })
        .catch((error: unknown) => current && setProblem(sentenceOf(error)))
        .finally(() => current && setLoaded(true));
    }
    return () => {
      current = false;
      streams.forEach((end) => end());
      streams.clear();
    };
  }, [begins, conversationId, watch]);

  const ask = useCallback(
    async ({ question, about, model, before, questionId = null }: Asking): Promise<boolean> => {
      setProblem(null);
      const parentId = before.at(-1)?.messageId ?? null;
      const asked = newTurn(question, about, parentId, questionId);
      setPending(asked);
      try {
        const accepted = await postQuestion({
          messages: historyOf(before, question),
          ...about,
          conversationId,
          parentId,
          ...(questionId === null ? {} : { questionId }),
          ...(model === null ? {} : { model }),
        });
        const { messageId, runId } = accepted;
        setTurns((all) => [...all, { ...asked, messageId, runId, questionId: accepted.questionId }]);
        setTitle((named) => named || question);
        setPending(null);
        watch(messageId);
        onAsked(conversationId);
        return true;
      } catch (error) {
        setPending(null);
        setProblem(sentenceOf(error));
        return false;
      }
    },
    [conversationId, onAsked, watch],
  );

  const stop = useCallback(async (turn: Turn) => {
    if (turn.messageId === null) return;
    try {
      await postStop(turn.messageId);
    } catch (error) {
      setProblem(sentenceOf(error));
    }
  }, []);

  const judge = useCallback(
    async (turn: Turn, feedback: Feedback | null) => {
      const { messageId } = turn;
      if (messageId === null) return;
      change(messageId, (known) => ({ ...known, feedback }));
      try {
        await putFeedback(messageId, feedback);
      } catch (error) {
        change(messageId, (known) => ({ ...known, feedback: turn.feedback }));
        setProblem(sentenceOf(error));
      }
    },
    [change],
  );

  return {
    turns: pending === null ? turns : [...turns, pending],
    title,
    sharedAt,
    loaded,
    missing,
    problem,
    ask,
    stop,
    judge,
    rename: setTitle,
    share: setSharedAt,
  };
}

/** What is asked again with another answer in mind: the same question, after the same turns. */
export const askedBefore = (turns: readonly Turn[], turn: Turn): Turn[] => lineTo(turns, turn).slice(0, -1);

/** An id nobody guesses. `randomUUID` exists only on secure origins; a chat on a plain http address still needs one. */
export function newConversationId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
