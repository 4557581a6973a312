// The words spoken with the edge, and the only place that knows them. Everything that arrives is checked before it is believed.

/** The longest question the edge takes. */
export const QUESTION_CHARS_MAX = 8_000;

/** How much is done for an answer. */
export const MODES = ["quick", "balanced", "thorough"] as const;
export type Mode = (typeof MODES)[number];
export const isMode = (value: unknown): value is Mode => MODES.some((mode) => mode === value);

export type Status = "running" | "complete" | "failed" | "cancelled";

export interface Citation {
  index: number;
  title: string;
  heading: string;
  url: string;
  quote: string;
  /** Its share of the votes it could have got when it was found, 0 to 1. */
  score: number | null;
}

/** What is remembered of a step. */
export interface StepRecord {
  step: string;
  seconds: number | null;
  attempts: number;
  notes: string[];
}

export interface Result {
  status: Exclude<Status, "running">;
  message: string;
  citations: Citation[];
  model: string | null;
  extractive: boolean;
  /** The answer says that the sources do not contain one. */
  notSaid: boolean;
  /** What was searched for, where that is not the question as it stands. */
  searchedFor: string[];
  /** Sentences about what is missing from the answer. */
  notices: string[];
  /** What the model thought before it answered. */
  reasoning: string;
  /** All passages that were found, the best first; the answer was made from the first `given`. */
  found: Citation[];
  given: number;
  steps: StepRecord[];
  /** Questions that might come next. */
  suggestions: string[];
}

export interface StepNews {
  step: string;
  phase: "started" | "finished" | "retrying";
  status: string;
  attempt: number;
  detail: string | null;
  citations: Citation[] | null;
  searchedFor: string[] | null;
}

export type AnswerEvent =
  | { type: "step"; step: StepNews }
  | { type: "progress"; detail: string }
  | { type: "token"; offset: number; text: string }
  | { type: "notice"; message: string }
  | { type: "error"; message: string }
  | { type: "result"; result: Result };

export type Feedback = "good" | "bad";

export interface KeptMessage {
  messageId: string;
  /** What it follows: an answer its question, a question the answer before it. */
  parentId: string | null;
  role: "user" | "assistant";
  status: Status;
  content: string;
  url: string;
  /** Further addresses the question was about. */
  sources: string[];
  mode: Mode;
  runId: string | null;
  result: Result | null;
  feedback: Feedback | null;
}

export interface Config {
  defaultUrl: string;
  dashboardUrl: string;
  models: string[];
  model: string | null;
  /** Why no model can be asked, with what to do; null when one can. */
  modelProblem: string | null;
}

export interface Accepted {
  messageId: string;
  questionId: string;
  conversationId: string;
  runId: string;
}

export type Fields = Record<string, unknown>;

export const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
export const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
export const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);
export const numberOf = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);
export const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const textsOf = (value: unknown): string[] => listOf(value).map(textOf).filter(Boolean);

/** A link that can be followed without harm; anything else leads nowhere. */
export function safeLink(url: string): string | null {
  // Files of the library are this server's own.
  return /^(https?:\/\/|\/sources\/)/i.test(url) ? url : null;
}

export function readEvent(data: string): AnswerEvent | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch {
    return null;
  }
  const event = fieldsOf(parsed);
  const payload = fieldsOf(event["payload"]);
  switch (event["type"]) {
    case "step":
      return { type: "step", step: readStep(payload) };
    case "progress":
      return { type: "progress", detail: textOf(payload["detail"]) };
    case "token":
      return { type: "token", offset: numberOf(payload["offset"]), text: textOf(payload["text"]) };
    case "notice":
      return { type: "notice", message: textOf(payload["message"]) };
    case "error":
      return { type: "error", message: textOf(payload["message"]) };
    case "result":
      return { type: "result", result: readResult(payload) };
    default:
      return null;
  }
}

function readStep(payload: Fields): StepNews {
  const phase = payload["phase"];
  return {
    step: textOf(payload["step"]),
    phase: phase === "finished" || phase === "retrying" ? phase : "started",
    status: textOf(payload["status"]),
    attempt: numberOf(payload["attempt"]),
    detail: textOrNull(payload["detail"]),
    citations: Array.isArray(payload["citations"]) ? readCitations(payload["citations"]) : null,
    searchedFor: Array.isArray(payload["searched_for"]) ? textsOf(payload["searched_for"]) : null,
  };
}

function readResult(payload: Fields): Result {
  const status = payload["status"];
  return {
    status: status === "complete" || status === "cancelled" ? status : "failed",
    message: textOf(payload["message"]),
    citations: readCitations(payload["citations"]),
    model: textOrNull(payload["model"]),
    extractive: payload["extractive"] === true,
    notSaid: payload["not_said"] === true,
    searchedFor: textsOf(payload["searched_for"]),
    notices: textsOf(payload["notices"]),
    reasoning: textOf(payload["reasoning"]),
    found: readCitations(payload["found"]),
    given: numberOf(payload["given"]),
    steps: listOf(payload["steps"]).map((entry) => readStepRecord(fieldsOf(entry))),
    suggestions: textsOf(payload["suggestions"]),
  };
}

const readCitations = (value: unknown): Citation[] => listOf(value).map((entry) => readCitation(fieldsOf(entry)));

function readCitation(fields: Fields): Citation {
  return {
    index: numberOf(fields["index"]),
    title: textOf(fields["title"]),
    heading: textOf(fields["heading"]),
    url: textOf(fields["url"]),
    quote: textOf(fields["quote"]),
    score: typeof fields["score"] === "number" ? fields["score"] : null,
  };
}

function readStepRecord(fields: Fields): StepRecord {
  return {
    step: textOf(fields["step"]),
    seconds: typeof fields["seconds"] === "number" ? fields["seconds"] : null,
    attempts: numberOf(fields["attempts"]),
    notes: textsOf(fields["notes"]),
  };
}

export function readMessage(fields: Fields): KeptMessage {
  const { status, feedback } = fields;
  return {
    messageId: textOf(fields["messageId"]),
    parentId: textOrNull(fields["parentId"]),
    role: fields["role"] === "user" ? "user" : "assistant",
    status: status === "running" || status === "complete" || status === "cancelled" ? status : "failed",
    content: textOf(fields["content"]),
    url: textOf(fields["url"]),
    sources: textsOf(fields["sources"]),
    mode: isMode(fields["mode"]) ? fields["mode"] : "balanced",
    runId: textOrNull(fields["runId"]),
    result: fields["result"] == null ? null : readResult(fieldsOf(fields["result"])),
    feedback: feedback === "good" || feedback === "bad" ? feedback : null,
  };
}

/** What the edge said when it refused, in its own words. */
export class EdgeError extends Error {}

/** What to show of an error: what the edge said, and nothing of what went wrong inside the page. */
export const sentenceOf = (error: unknown): string => (error instanceof EdgeError ? error.message : "Something went wrong on this page.");

const AWAY = "The chat's server does not answer. Is it running?";

/** Ask the edge; raises EdgeError with a sentence for the person. */
export async function call(path: string, init?: RequestInit): Promise<Fields> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new EdgeError(AWAY);
  }
  const body: unknown = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) {
    throw new EdgeError(textOf(fieldsOf(fieldsOf(body)["error"])["message"]) || `${AWAY} (HTTP ${response.status})`);
  }
  return fieldsOf(body);
}

export async function fetchConfig(): Promise<Config> {
  const fields = await call("/config");
  return {
    defaultUrl: textOf(fields["defaultUrl"]),
    dashboardUrl: textOf(fields["dashboardUrl"]),
    models: listOf(fields["models"]).map(textOf).filter(Boolean),
    model: textOrNull(fields["model"]),
    modelProblem: textOrNull(fields["modelProblem"]),
  };
}

/** For `call`: a body of JSON. */
export const sending = (method: "POST" | "PUT" | "PATCH", body: unknown): RequestInit => ({
  method,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

export interface Question {
  messages: { role: "user" | "assistant"; content: string }[];
  url: string;
  sources: string[];
  mode: Mode;
  conversationId: string;
  /** The answer it follows; null at the beginning. */
  parentId: string | null;
  /** A question of the conversation that gets another answer. */
  questionId?: string;
  model?: string;
}

export async function postQuestion(question: Question): Promise<Accepted> {
  const fields = await call("/message", sending("POST", question));
  return {
    messageId: textOf(fields["messageId"]),
    questionId: textOf(fields["questionId"]),
    conversationId: textOf(fields["conversationId"]),
    runId: textOf(fields["runId"]),
  };
}

export async function postStop(messageId: string): Promise<void> {
  await call(`/message/${encodeURIComponent(messageId)}/stop`, { method: "POST" });
}

export async function putFeedback(messageId: string, feedback: Feedback | null): Promise<void> {
  await call(`/message/${encodeURIComponent(messageId)}/feedback`, sending("PUT", { feedback }));
}

/** Watch an answer until its result; the browser reconnects by itself. Returns how to stop watching. */
export function watchAnswer(messageId: string, onEvent: (event: AnswerEvent) => void): () => void {
  const source = new EventSource(`/message/${encodeURIComponent(messageId)}`);
  source.onmessage = (message: MessageEvent<string>) => {
    const event = readEvent(message.data);
    if (event === null) return;
    if (event.type === "result") source.close();
    onEvent(event);
  };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) onEvent({ type: "notice", message: AWAY });
  };
  return () => source.close();
}
