import { describe, expect, it } from "vitest";
import type { AnswerEvent, KeptMessage, Result } from "../services/wire";
import { applyEvent, historyOf, newTurn, splice, stagesOf, turnsOf, type Turn } from "./transcript";

const result: Result = {
  status: "complete",
  message: "With pip [1].",
  citations: [{ index: 1, title: "Install", heading: "With pip", url: "https://e.org/i#pip", quote: "pip", score: null }],
  model: "tiny",
  extractive: false,
  notSaid: false,
  searchedFor: [],
  notices: [],
  reasoning: "",
  found: [],
  given: 0,
  steps: [],
  suggestions: [],
};

const step = (status: string, more: Partial<Extract<AnswerEvent, { type: "step" }>["step"]> = {}): AnswerEvent => ({
  type: "step",
  step: { step: "load_docs", phase: "finished", status, attempt: 1, detail: null, citations: null, searchedFor: null, ...more },
});

const after = (...events: AnswerEvent[]): Turn => events.reduce(applyEvent, newTurn("How?", "https://e.org/"));

describe("splice", () => {
  it("appends, repeats without harm, and replaces from an offset", () => {
    expect(splice("Hello", 5, " you")).toBe("Hello you");
    expect(splice("Hello you", 5, " you")).toBe("Hello you");
    expect(splice("Hello you", 0, "New")).toBe("New");
  });

  it("counts characters the way the edge does, also beyond the basic plane", () => {
    expect(splice("🪓🪓", 2, "!")).toBe("🪓🪓!");
    expect(splice("🪓🪓", 1, "x")).toBe("🪓x");
  });
});

describe("an answer", () => {
  it("goes through its stages and never back", () => {
    expect(after(step("reading")).stage).toBe("reading");
    expect(after(step("reading"), step("making sense"), step("reading", { phase: "started" })).stage).toBe("making sense");
    expect(after(step("starting", { phase: "started" })).stage).toBeNull();
  });

  it("tells what it reads, and why it tries again", () => {
    expect(after(step("reading"), { type: "progress", detail: "Reading x" }).detail).toBe("Reading x");
    const retrying = after(step("reading"), step("reading", { phase: "retrying", detail: "HTTP 503." }));
    expect(retrying.detail).toBe("HTTP 503. Trying again…");
  });

  it("knows its passages while it is written", () => {
    expect(after(step("writing", { citations: result.citations }), { type: "token", offset: 0, text: "With" })).toMatchObject({
      status: "running",
      citations: result.citations,
    });
  });

  it("collects its text, and starts over when another attempt does", () => {
    const tokens: AnswerEvent[] = [
      { type: "token", offset: 0, text: "Half" },
      { type: "token", offset: 4, text: " a" },
    ];
    expect(after(...tokens).text).toBe("Half a");
    expect(after(...tokens, { type: "token", offset: 0, text: "Whole" }).text).toBe("Whole");
  });

  it("ends with the result, whatever was streamed", () => {
    const done = after({ type: "token", offset: 0, text: "Wi" }, { type: "result", result });
    expect(done).toMatchObject({ status: "complete", text: "With pip [1].", stage: null, model: "tiny", error: null });
  });

  it("shows a failure once, and keeps what was written when it was stopped", () => {
    const failed = after(
      { type: "error", message: "No such page." },
      { type: "result", result: { ...result, status: "failed", message: "No such page.", citations: [] } },
    );
    expect(failed).toMatchObject({ status: "failed", text: "", error: "No such page." });
    const stopped = after({ type: "result", result: { ...result, status: "cancelled", message: "With" } });
    expect(stopped).toMatchObject({ status: "cancelled", text: "With", error: null });
  });
});

describe("a thorough answer", () => {
  it("is planned before it reads, and shows its plan", () => {
    const begun = newTurn("How?", { url: "https://e.org/", sources: [], mode: "thorough" });
    expect([stagesOf(begun)[0], stagesOf(newTurn("How?", "https://e.org/"))[0]]).toEqual(["planning", "reading"]);
    const planned = [step("planning"), step("reading", { step: "plan", searchedFor: ["What?", "Why?"] }), step("reading")].reduce(applyEvent, begun);
    expect([planned.stage, planned.searchedFor]).toEqual(["reading", ["What?", "Why?"]]);
  });
});

describe("a kept conversation", () => {
  const kept = (message: Partial<KeptMessage>): KeptMessage => ({
    messageId: "q1",
    parentId: null,
    role: "user",
    status: "complete",
    content: "How?",
    url: "https://e.org/",
    sources: [],
    mode: "balanced",
    runId: null,
    result: null,
    feedback: null,
    ...message,
  });

  it("comes back as turns, each answer with its question, the running one with what it had", () => {
    const turns = turnsOf([
      kept({}),
      kept({ messageId: "a1", parentId: "q1", role: "assistant", content: "With pip [1].", runId: "r1", result, feedback: "good" }),
      kept({ messageId: "q2", parentId: "a1", content: "And then?" }),
      kept({ messageId: "a2", parentId: "q1", role: "assistant", content: "With uv [1].", result }),
      kept({ messageId: "a3", parentId: "q2", role: "assistant", status: "running", content: "Th", runId: "r2" }),
    ]);
    expect(turns.map((turn) => [turn.question, turn.parentId, turn.questionId, turn.messageId, turn.status, turn.feedback])).toEqual([
      ["How?", null, "q1", "a1", "complete", "good"],
      ["How?", null, "q1", "a2", "complete", null],
      ["And then?", "a1", "q2", "a3", "running", null],
    ]);
    expect(turns[2]?.text).toBe("Th");
  });

  it("is sent along with the next question, without what failed, and bounded", () => {
    const done = after({ type: "result", result });
    const failed: Turn = { ...newTurn("Bad", "x"), status: "failed" };
    expect(historyOf([done, failed], "Next?").map((message) => message.content)).toEqual(["How?", "With pip [1].", "Next?"]);
    const many = Array.from({ length: 60 }, (_, index): Turn => ({ ...done, question: `How ${index}?` }));
    expect(historyOf(many, "Next?")).toHaveLength(41);
  });
});
