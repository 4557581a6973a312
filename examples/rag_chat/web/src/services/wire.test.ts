import { expect, it } from "vitest";
import { readEvent, safeLink } from "./wire";

const event = (type: string, payload: unknown) => JSON.stringify({ type, payload, messageId: "m" });

it("reads what it knows and ignores the rest", () => {
  expect(readEvent(event("token", { offset: 3, text: "x" }))).toEqual({ type: "token", offset: 3, text: "x" });
  expect(readEvent(event("progress", { step: "load_docs", detail: "Reading" }))).toEqual({ type: "progress", detail: "Reading" });
  expect(readEvent(event("surprise", {}))).toBeNull();
  expect(readEvent("not json")).toBeNull();
});

it("believes nothing about the shape of a payload", () => {
  expect(readEvent(event("result", { status: "odd", citations: "none", message: 7 }))).toEqual({
    type: "result",
    result: { status: "failed", message: "", citations: [], model: null, extractive: false, notices: [], reasoning: "", found: [], given: 0, notSaid: false, searchedFor: [], steps: [], suggestions: [] },
  });
  expect(readEvent(event("token", null))).toEqual({ type: "token", offset: 0, text: "" });
});

it("follows web links only", () => {
  expect(safeLink("https://e.org/#a")).toBe("https://e.org/#a");
  expect(safeLink("/sources/1/file#page=2")).toBe("/sources/1/file#page=2");
  expect(safeLink("//e.org/")).toBeNull();
  expect(safeLink("javascript:alert(1)")).toBeNull();
  expect(safeLink("data:text/html,x")).toBeNull();
});
