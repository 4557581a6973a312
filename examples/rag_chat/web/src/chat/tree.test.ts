import { describe, expect, it } from "vitest";
import { newTurn, type Turn } from "./transcript";
import { answerVersions, latestBehind, questionVersions, shownLine } from "./tree";

const turn = (messageId: string | null, parentId: string | null, questionId: string | null): Turn => ({
  ...newTurn(`Question ${questionId}`, "https://e.org/", parentId, questionId),
  messageId,
});

// q1 has two answers; behind the first of them q2 and its other wording q3; q4 is another beginning.
const turns = [
  turn("a1", null, "q1"),
  turn("a2", "a1", "q2"),
  turn("b1", null, "q1"),
  turn("a3", "a1", "q3"),
  turn("c1", null, "q4"),
];
const shown = (at: string | null, all = turns) => shownLine(all, at).map((each) => each.messageId);

describe("the branch that is shown", () => {
  it("is the one that was spoken on last", () => {
    expect(shown(null)).toEqual(["c1"]);
    expect(shown(null, turns.slice(0, 4))).toEqual(["a1", "a3"]);
    expect(shown(null, [])).toEqual([]);
  });

  it("goes through an answer and on to the latest behind it", () => {
    expect(shown("a1")).toEqual(["a1", "a3"]);
    expect(shown("a2")).toEqual(["a1", "a2"]);
    expect(shown("b1")).toEqual(["b1"]);
  });

  it("is the usual one when the answer is not there", () => {
    expect(shown("gone")).toEqual(["c1"]);
  });

  it("ends with what is being asked", () => {
    expect(shown(null, [...turns, turn(null, "a2", null)])).toEqual(["a1", "a2", null]);
  });

  it("ends even if the parents go in a circle", () => {
    expect(shown(null, [turn("a", "b", "q"), turn("b", "a", "r")])).toEqual(["a", "b"]);
  });
});

const named = (messageId: string) => {
  const found = turns.find((each) => each.messageId === messageId);
  if (found === undefined) throw new Error(messageId);
  return found;
};

describe("versions", () => {
  it("of an answer are the answers to the same question", () => {
    expect(answerVersions(turns, named("a1"))).toEqual({ number: 1, count: 2, before: null, after: "b1" });
    expect(answerVersions(turns, named("b1"))).toEqual({ number: 2, count: 2, before: "a1", after: null });
    expect(answerVersions(turns, named("a2"))).toBeNull();
    expect(answerVersions(turns, turn(null, null, "q1"))).toBeNull();
  });

  it("of a question are the questions after the same answer, led to by the latest answer behind them", () => {
    expect(questionVersions(turns, named("c1"))).toEqual({ number: 2, count: 2, before: "a3", after: null });
    expect(questionVersions(turns, named("b1"))).toEqual({ number: 1, count: 2, before: null, after: "c1" });
    expect(questionVersions(turns, named("a3"))).toEqual({ number: 2, count: 2, before: "a2", after: null });
  });

  it("finds the latest turn behind another", () => {
    expect(latestBehind(turns, (each) => each.questionId === "q1")?.messageId).toBe("a3");
    expect(latestBehind(turns, () => false)).toBeUndefined();
  });
});
