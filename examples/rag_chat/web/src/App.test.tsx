import { act, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "./App";

/** Stands in for the browser's EventSource, which jsdom lacks; the test speaks as the edge. */
class Stream {
  static opened: Stream[] = [];
  static readonly CLOSED = 2;
  readyState = 1;
  onmessage: ((message: { data: string }) => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(readonly url: string) {
    Stream.opened.push(this);
  }

  close() {
    this.readyState = Stream.CLOSED;
  }

  say(type: string, payload: unknown) {
    act(() => this.onmessage?.({ data: JSON.stringify({ type, payload, messageId: "m1" }) }));
  }
}

interface Call {
  path: string;
  method: string;
  body: unknown;
}

let calls: Call[] = [];
let kept: unknown[] = [];
let held: Promise<void> = Promise.resolve();
let models: string[] = [];
let modelProblem: string | null = null;
let refusal: { status: number; message: string } | null = null;

function answer(path: string): [number, unknown] {
  if (path === "/config") {
    return [200, { defaultUrl: "https://e.org/docs/", dashboardUrl: "https://dash.example", model: models[0] ?? null, models, modelProblem }];
  }
  if (path.startsWith("/conversations/")) return [200, { messages: kept }];
  if (path === "/message" && refusal !== null) return [refusal.status, { error: { message: refusal.message } }];
  if (path === "/message") return [202, { messageId: "m1", conversationId: "c1", runId: "run-7" }];
  return [202, {}];
}

beforeEach(() => {
  calls = [];
  kept = [];
  held = Promise.resolve();
  refusal = null;
  models = ["tiny"];
  modelProblem = null;
  Stream.opened = [];
  localStorage.clear();
  sessionStorage.clear();
  vi.stubGlobal("EventSource", Stream);
  vi.stubGlobal("fetch", async (path: string, init?: RequestInit) => {
    calls.push({ path, method: init?.method ?? "GET", body: init?.body === undefined ? null : JSON.parse(String(init.body)) });
    if (path.startsWith("/conversations/")) await held;
    const [status, body] = answer(path);
    return new Response(JSON.stringify(body), { status });
  });
});

const stream = (): Stream => {
  const last = Stream.opened.at(-1);
  if (last === undefined) throw new Error("nothing is watched");
  return last;
};

async function ask(question = "How do I install it?") {
  render(<App />);
  await screen.findByDisplayValue("https://e.org/docs/");
  await userEvent.type(screen.getByLabelText("Your question"), `${question}{Enter}`);
  await waitFor(() => expect(Stream.opened).toHaveLength(1));
}

const COMPLETE = {
  status: "complete",
  message: "With pip [1].",
  citations: [{ index: 1, title: "Install", heading: "With pip", url: "https://e.org/i#pip", quote: "pip install" }],
  model: "tiny",
  extractive: false,
};

describe("asking", () => {
  it("sends the question about the page it was given, and shows each step as it happens", async () => {
    await ask();
    expect(calls.find((call) => call.method === "POST")?.body).toMatchObject({
      messages: [{ role: "user", content: "How do I install it?" }],
      url: "https://e.org/docs/",
    });
    const now = () => document.querySelector('[aria-current="step"]')?.textContent;
    stream().say("step", { step: "start", phase: "finished", status: "reading", attempt: 1 });
    expect(now()).toBe("reading");
    stream().say("progress", { step: "load_docs", detail: "Read 2 of 3 pages: Install" });
    expect(screen.getByText("Read 2 of 3 pages: Install")).toBeTruthy();
    stream().say("step", { step: "load_docs", phase: "finished", status: "making sense", attempt: 1 });
    expect(now()).toBe("making sense");
    stream().say("token", { offset: 0, text: "With " });
    stream().say("token", { offset: 5, text: "pip" });
    expect(now()).toBe("writing");
    expect(screen.getByTestId("answer").textContent).toBe("With pip");
    expect(screen.getAllByRole("heading", { level: 1 })).toHaveLength(1);
  });

  it("ends with links to the passages and to the run", async () => {
    await ask();
    stream().say("result", COMPLETE);
    const chip = screen.getByRole("link", { name: "Source 1: Install" });
    expect(chip.getAttribute("href")).toBe("https://e.org/i#pip");
    const axe = screen.getByRole("link", { name: "Show the run behind this answer" });
    expect(axe.getAttribute("href")).toBe("https://dash.example/runs/run-7");
    expect(screen.getByText("Answered by tiny")).toBeTruthy();
    expect(stream().readyState).toBe(Stream.CLOSED);
  });

  it("stops when asked to, and keeps what was written", async () => {
    await ask();
    stream().say("token", { offset: 0, text: "With " });
    await userEvent.click(screen.getByRole("button", { name: "Stop" }));
    expect(calls.at(-1)).toMatchObject({ path: "/message/m1/stop", method: "POST" });
    stream().say("result", { ...COMPLETE, status: "cancelled", message: "With ", citations: [] });
    expect(screen.getByText("Stopped")).toBeTruthy();
    expect(screen.getByTestId("answer").textContent).toBe("With");
    expect(screen.getByRole("button", { name: "Ask" })).toBeTruthy();
  });

  it("says that it is still at work when nothing has come for a while, and no longer once something comes", async () => {
    await ask();
    stream().say("token", { offset: 0, text: "With " });
    const waiting = () => screen.queryByText(/^Still working/);
    expect(waiting()).toBeNull();
    vi.useFakeTimers();
    try {
      stream().say("token", { offset: 5, text: "pip" });
      act(() => vi.advanceTimersByTime(7_900));
      expect(waiting()).toBeNull();
      act(() => vi.advanceTimersByTime(200));
      expect(waiting()).not.toBeNull();
      stream().say("token", { offset: 8, text: " or" });
      expect(waiting()).toBeNull();
      stream().say("result", COMPLETE);
      act(() => vi.advanceTimersByTime(60_000));
      expect(waiting()).toBeNull();
    } finally {
      vi.useRealTimers();
    }
  });

  it("says why there is no answer", async () => {
    await ask();
    stream().say("error", { message: "https://e.org/ answered with HTTP 404." });
    stream().say("result", { status: "failed", message: "https://e.org/ answered with HTTP 404.", citations: [] });
    expect(screen.getByRole("alert").textContent).toContain("HTTP 404");
  });

  it("gives the question back when it could not be asked", async () => {
    refusal = { status: 503, message: "The engine does not answer." };
    render(<App />);
    await screen.findByDisplayValue("https://e.org/docs/");
    await userEvent.type(screen.getByLabelText("Your question"), "Why?{Enter}");
    expect((await screen.findByRole("alert")).textContent).toBe("The engine does not answer.");
    expect(screen.getByLabelText<HTMLTextAreaElement>("Your question").value).toBe("Why?");
  });

  it("says what is missing from an answer, and folds what the model thought", async () => {
    await ask();
    stream().say("result", { ...COMPLETE, notices: ["It was cut."], reasoning: "Let me see." });
    expect(screen.getByText("It was cut.")).toBeTruthy();
    const thoughts = screen.getByText("Let me see.").closest("details");
    expect(thoughts?.open).toBe(false);
  });

  it("notices a model that comes and one that goes, and keeps the one that was chosen", async () => {
    models = [];
    modelProblem = "Ollama has no language model yet.";
    render(<App />);
    expect(await screen.findByText(/^Ollama has no language model yet/)).toBeTruthy();
    models = ["tiny", "big"];
    modelProblem = null;
    act(() => void document.dispatchEvent(new Event("visibilitychange")));
    await userEvent.selectOptions(await screen.findByLabelText("Model"), "big");
    expect(screen.queryByText(/^Ollama has no language model yet/)).toBeNull();
    models = ["tiny"];
    act(() => void document.dispatchEvent(new Event("visibilitychange")));
    await waitFor(() => expect(calls.filter((call) => call.path === "/config")).toHaveLength(3));
    expect(screen.getByLabelText<HTMLSelectElement>("Model").value).toBe("big");
  });

  it("copies an answer with its sources", async () => {
    await ask();
    stream().say("result", COMPLETE);
    const user = userEvent.setup();
    await user.click(screen.getByRole("button", { name: "Copy" }));
    expect(await screen.findByRole("button", { name: "Copied" })).toBeTruthy();
    expect(await navigator.clipboard.readText()).toBe("With pip [1].\n\nSources:\n\n1. Install: With pip <https://e.org/i#pip>");
  });

  it("asks again without the answer that did not please, by the same model", async () => {
    await ask();
    stream().say("result", COMPLETE);
    await userEvent.click(screen.getByRole("button", { name: "Ask again" }));
    await waitFor(() => expect(Stream.opened).toHaveLength(2));
    expect(calls.findLast((call) => call.path === "/message")?.body).toMatchObject({
      messages: [{ role: "user", content: "How do I install it?" }],
      model: "tiny",
      url: "https://e.org/docs/",
    });
    expect(screen.getByRole<HTMLButtonElement>("button", { name: "Ask again" }).disabled).toBe(true);
  });

  it("labels quoted passages for what they are, and runs no markup from them", async () => {
    await ask();
    const message = "No language model is reachable.\n\n> quoted <img src=x onerror=alert(1)> [1] [bad](javascript:alert(1))";
    stream().say("result", { ...COMPLETE, message, extractive: true, model: null });
    expect(screen.getByText("Quoted passages, no language model")).toBeTruthy();
    expect(document.querySelector("img")).toBeNull();
    expect(document.querySelector('a[href^="javascript"]')).toBeNull();
  });
});

describe("a reload", () => {
  const question = { messageId: "q", role: "user", status: "complete", content: "How?", url: "https://e.org/", runId: null, result: null };

  it("shows the kept conversation again", async () => {
    kept = [question, { ...question, messageId: "m1", role: "assistant", content: "With pip [1].", runId: "run-7", result: COMPLETE }];
    render(<App />);
    expect((await screen.findByTestId("answer")).textContent).toBe("With pip 1.");
    expect(Stream.opened).toHaveLength(0);
  });

  it("lets nothing be asked before the kept conversation is there, which would wipe it out", async () => {
    let arrive = () => {};
    held = new Promise((resolve) => (arrive = resolve));
    kept = [question, { ...question, messageId: "m0", role: "assistant", content: "With pip [1].", runId: "run-7", result: COMPLETE }];
    render(<App />);
    await screen.findByDisplayValue("https://e.org/docs/");
    await userEvent.type(screen.getByLabelText("Your question"), "And then?{Enter}");
    expect(calls.some((call) => call.method === "POST")).toBe(false);
    act(arrive);
    await screen.findByTestId("answer");
    await userEvent.type(screen.getByLabelText("Your question"), "{Enter}");
    await waitFor(() => expect(Stream.opened).toHaveLength(1));
    expect(calls.find((call) => call.method === "POST")?.body).toMatchObject({
      messages: [{ content: "How?" }, { content: "With pip [1]." }, { role: "user", content: "And then?" }],
    });
    expect(screen.getByText("And then?", { selector: ".question p" })).toBeTruthy();
  });

  it("goes on watching an answer that is still being written", async () => {
    kept = [question, { ...question, messageId: "m1", role: "assistant", status: "running", content: "Wi", runId: "run-7" }];
    render(<App />);
    await waitFor(() => expect(stream().url).toBe("/message/m1"));
    stream().say("token", { offset: 0, text: "With" });
    expect(screen.getByTestId("answer").textContent).toBe("With");
  });
});
