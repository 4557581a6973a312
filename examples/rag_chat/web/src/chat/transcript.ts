// The conversation as the page knows it: plain data, and pure functions that say what an event changes.

import type { AnswerEvent, Citation, Feedback, KeptMessage, Mode, Status, StepRecord } from "../services/wire";

/** The first one is that of thorough answers alone. */
export const STAGES = ["planning", "reading", "making sense", "writing"] as const;
export type Stage = (typeof STAGES)[number];

export interface Turn {
  question: string;
  url: string;
  /** Further addresses it is about. */
  sources: string[];
  mode: Mode;
  /** The answer it was asked after; null at the beginning of a conversation. */
  parentId: string | null;
  /** Null until the edge has the question. */
  questionId: string | null;
  messageId: string | null;
  runId: string | null;
  status: Status;
  stage: Stage | null;
  detail: string;
  notice: string;
  text: string;
  citations: Citation[];
  model: string | null;
  extractive: boolean;
  /** The answer says that the sources do not contain one. */
  notSaid: boolean;
  /** What was searched for, where that is not the question as it stands; of a thorough answer, its plan. */
  searchedFor: string[];
  notices: string[];
  reasoning: string;
  /** All passages that were found; the answer was made from the first `given`. */
  found: Citation[];
  given: number;
  steps: StepRecord[];
  suggestions: string[];
  error: string | null;
  feedback: Feedback | null;
}

/** What a question is about, and how much is done for its answer. */
export interface About {
  url: string;
  sources: string[];
  mode: Mode;
}

export function newTurn(question: string, about: string | About, parentId: string | null = null, questionId: string | null = null): Turn {
  return {
    question,
    ...(typeof about === "string" ? { url: about, sources: [], mode: "balanced" as const } : about),
    parentId,
    questionId,
    messageId: null,
    runId: null,
    status: "running",
    stage: null,
    detail: "",
    notice: "",
    text: "",
    citations: [],
    model: null,
    extractive: false,
    notSaid: false,
    searchedFor: [],
    notices: [],
    reasoning: "",
    found: [],
    given: 0,
    steps: [],
    suggestions: [],
    error: null,
    feedback: null,
  };
}

/** The stages of one answer. */
export const stagesOf = (turn: Turn): readonly Stage[] => (turn.mode === "thorough" ? STAGES : STAGES.slice(1));

const isStage = (status: string): status is Stage => (STAGES as readonly string[]).includes(status);

/** Put `text` at `offset`, counted in code points as the edge counts, and drop what was behind it. */
export function splice(current: string, offset: number, text: string): string {
  const points = Array.from(current);
  return offset >= points.length ? current + text : points.slice(0, offset).join("") + text;
}

export function applyEvent(turn: Turn, event: AnswerEvent): Turn {
  switch (event.type) {
    case "step": {
      const stage = isStage(event.step.status) ? furthest(turn.stage, event.step.status) : turn.stage;
      const again = event.step.attempt > 1 && event.step.phase === "started" ? "Trying once more…" : turn.detail;
      const detail = event.step.phase === "retrying" ? `${event.step.detail ?? ""} Trying again…`.trim() : again;
      const citations = event.step.citations ?? turn.citations;
      const searchedFor = event.step.searchedFor ?? turn.searchedFor;
      return { ...turn, stage, citations, searchedFor, detail: stage === turn.stage ? detail : "" };
    }
    case "progress":
      return { ...turn, detail: event.detail };
    case "token":
      return { ...turn, stage: "writing", detail: "", text: splice(turn.text, event.offset, event.text) };
    case "notice":
      return { ...turn, notice: event.message };
    case "error":
      return { ...turn, error: event.message };
    case "result": {
      const { status, message, ...more } = event.result;
      const failed = status === "failed";
      return {
        ...turn,
        status,
        stage: null,
        detail: "",
        notice: "",
        text: failed ? "" : message,
        error: failed ? message : null,
        ...more,
      };
    }
  }
}

/** Stages only go forward; an event that repeats an earlier one does not move them back. */
function furthest(current: Stage | null, next: Stage): Stage {
  return current !== null && STAGES.indexOf(current) > STAGES.indexOf(next) ? current : next;
}

/** Turns from the messages the edge kept: each answer with the question it belongs to. */
export function turnsOf(messages: KeptMessage[]): Turn[] {
  const questions = new Map(messages.filter((message) => message.role === "user").map((message) => [message.messageId, message]));
  return messages
    .filter((message) => message.role === "assistant")
    .map((message) => {
      const question = message.parentId === null ? undefined : questions.get(message.parentId);
      const known: Turn = {
        ...newTurn(question?.content ?? "", { url: message.url, sources: message.sources, mode: message.mode }, question?.parentId ?? null, message.parentId),
        messageId: message.messageId,
        runId: message.runId,
        text: message.content,
        feedback: message.feedback,
      };
      return message.result === null ? known : applyEvent(known, { type: "result", result: message.result });
    });
}

const HISTORY_MESSAGES_MAX = 40;

/** What is sent with the next question: the finished turns before it, and the question itself. */
export function historyOf(before: readonly Turn[], question: string): { role: "user" | "assistant"; content: string }[] {
  const past = before
    .filter((turn) => turn.status === "complete" && turn.question.trim() !== "")
    .flatMap((turn) => [
      { role: "user" as const, content: turn.question },
      { role: "assistant" as const, content: turn.text },
    ]);
  return [...past.slice(-HISTORY_MESSAGES_MAX), { role: "user" as const, content: question }];
}
