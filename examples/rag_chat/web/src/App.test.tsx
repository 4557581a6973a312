import { act, render, screen, waitFor, within } from "@testing-library/react";
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
let headings: unknown[] = [];
const shelf = [
  { sourceId: "s1", address: "source:s1", kind: "file", url: "manual.pdf", status: "ready", error: null, pages: 1, found: 1 },
  { sourceId: "s2", address: "source:s2", kind: "site", url: "https://e.org/broken/", status: "failed", error: "It is gone.", pages: 0, found: 0 },
];
let asked = 0;
let held: Promise<void> = Promise.resolve();
let models: string[] = [];
let modelProblem: string | null = null;
let refusal: { status: number; message: string } | null = null;

function answer(path: string, questionId?: string): [number, unknown] {
  if (path === "/config") {
    return [200, { defaultUrl: "https://e.org/docs/", dashboardUrl: "https://dash.example", model: models[0] ?? null, models, modelProblem }];
  }
  if (path.startsWith("/conversations?")) return [200, { conversations: headings, next: null }];
  if (path.startsWith("/conversations/") && path.endsWith("/share")) return [201, { link: "L".repeat(43), sharedAt: "2026-01-02T03:04:05Z" }];
  if (path.startsWith("/conversations/")) return [200, { title: "How?", sharedAt: null, messages: kept }];
  if (path.includes("/passages/")) {
    const passage = { index: 1, title: "Install", heading: "With pip", url: "https://e.org/i#pip", text: "pip install broadaxe, and it runs" };
    return [200, { ...passage, before: [{ heading: "Install", text: "Before." }], after: [], changed: false }];
  }
  if (path === "/sources") return [200, { sources: shelf }];
  if (path.startsWith("/sources/files?")) return [201, { ...shelf[0], sourceId: "s9", address: "source:s9", url: "new.pdf" }];
  if (path.startsWith("/shared/")) return [200, { title: "How?", messages: kept }];
  if (path === "/message" && refusal !== null) return [refusal.status, { error: { message: refusal.message } }];
  if (path === "/message") {
    asked += 1;
    return [202, { messageId: `m${asked}`, questionId: questionId ?? `q${asked}`, conversationId: "c1", runId: "run-7" }];
  }
  return [202, {}];
}

beforeEach(() => {
  calls = [];
  kept = [];
  headings = [];
  asked = 0;
  history.replaceState(null, "", "/");
  held = Promise.resolve();
  refusal = null;
  models = ["tiny"];
  modelProblem = null;
  Stream.opened = [];
  localStorage.clear();
  sessionStorage.clear();
  vi.stubGlobal("EventSource", Stream);
  vi.stubGlobal("fetch", async (path: string, init?: RequestInit) => {
    const sent = init?.body === undefined || init.body instanceof File ? null : (JSON.parse(String(init.body)) as { questionId?: string });
    calls.push({ path, method: init?.method ?? "GET", body: sent });
    if (path.startsWith("/conversations/")) await held;
    if (init?.method === "DELETE") return new Response(null, { status: 204 });
    const [status, body] = answer(path, sent?.questionId);
    return new Response(JSON.stringify(body), { status });
  });
});

const posted = () => calls.filter((call) => call.path === "/message").map((call) => call.body);
const question = { messageId: "q", parentId: null, role: "user", status: "complete", content: "How?", url: "https://e.org/", runId: null, result: null, feedback: null };
const answerTo = { ...question, messageId: "m0", parentId: "q", role: "assistant", content: "With pip [1].", runId: "run-7" };

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
  citations: [{ index: 1, title: "Install", heading: "With pip", url: "https://e.org/i#pip", quote: "pip install", score: null }],
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
    await user.click(screen.getByRole("button", { name: "Copy the answer" }));
    expect(await screen.findByText("Copied")).toBeTruthy();
    expect(await navigator.clipboard.readText()).toBe("With pip [1].\n\nSources:\n\n1. Install: With pip <https://e.org/i#pip>");
  });

  it("asks again for another answer to the same question, by the same model, and walks between the two", async () => {
    await ask();
    stream().say("result", COMPLETE);
    await userEvent.click(screen.getByRole("button", { name: "Ask again" }));
    await waitFor(() => expect(Stream.opened).toHaveLength(2));
    expect(posted().at(-1)).toMatchObject({
      messages: [{ role: "user", content: "How do I install it?" }],
      parentId: null,
      questionId: "q1",
      model: "tiny",
      url: "https://e.org/docs/",
    });
    // Nothing can be asked while an answer is written.
    expect(screen.queryByRole("button", { name: "Ask again" })).toBeNull();
    stream().say("result", { ...COMPLETE, message: "With uv." });
    expect(screen.getByTestId("answer").textContent).toBe("With uv.");
    const versions = within(screen.getByRole("group", { name: "Versions of the answer" }));
    expect(versions.getByText("2/2")).toBeTruthy();
    await userEvent.click(versions.getByRole("button", { name: "Earlier version" }));
    expect(screen.getByTestId("answer").textContent).toBe("With pip 1.");
    expect(location.search).toBe("?at=m1");
    expect(document.activeElement?.getAttribute("aria-label")).toBe("Earlier version");
  });

  it("asks a question in other words beside the first ones", async () => {
    await ask();
    stream().say("result", COMPLETE);
    await userEvent.click(screen.getByRole("button", { name: "Edit the question" }));
    await userEvent.keyboard("{Escape}");
    expect(document.activeElement?.getAttribute("aria-label")).toBe("Edit the question");
    await userEvent.click(screen.getByRole("button", { name: "Edit the question" }));
    await userEvent.clear(screen.getByLabelText("The question in other words"));
    await userEvent.keyboard("How with uv?{Enter}");
    await waitFor(() => expect(Stream.opened).toHaveLength(2));
    expect(posted().at(-1)).toMatchObject({ messages: [{ content: "How with uv?" }], parentId: null });
    expect(posted().at(-1)).not.toHaveProperty("questionId");
    expect(within(screen.getByRole("group", { name: "Versions of the question" })).getByText("2/2")).toBeTruthy();
  });

  it("opens a citation beside the answer, and all that was found, by addresses", async () => {
    await ask();
    const [first] = COMPLETE.citations;
    const unused = { ...first, index: 2, heading: "With uv", quote: "uv add", score: 0.5 };
    const leftOut = { ...first, index: 3, heading: "Elsewhere" };
    stream().say("result", { ...COMPLETE, found: [first, unused, leftOut], given: 2 });
    const chip = screen.getByRole("link", { name: "Source 1: Install" });
    await userEvent.click(chip);
    expect(location.search).toBe("?source=m1.1");
    const panel = within(screen.getByRole("complementary", { name: "Sources" }));
    expect(calls.at(-1)?.path).toBe("/message/m1/passages/1");
    expect((await panel.findByRole("region", { name: "The passage" })).textContent).toContain("pip install broadaxe, and it runs");
    expect(panel.getByRole("link", { name: "Open the page at this passage" }).getAttribute("href")).toBe(
      "https://e.org/i#pip:~:text=pip%20install%20broadaxe%2C%20and%20it%20runs",
    );
    expect(document.activeElement?.textContent).toBe("Source 1");
    await userEvent.click(panel.getByRole("button", { name: "All sources" }));
    expect(panel.getAllByRole("heading", { level: 3 }).map((heading) => heading.textContent)).toEqual([
      "The answer refers to",
      "Read, and not referred to",
      "Left out, as the model’s window was full",
    ]);
    expect(panel.getByText("fits 50 %")).toBeTruthy();
    await userEvent.keyboard("{Escape}");
    expect(screen.queryByRole("complementary", { name: "Sources" })).toBeNull();
    expect(document.activeElement).toBe(chip);
    expect(location.search).toBe("");
  });

  it("remembers the steps, and asks what might come next", async () => {
    await ask();
    const steps = [
      { step: "load_docs", seconds: 2.5, attempts: 2, notes: ["HTTP 503.", "Read 1 page."] },
      { step: "generate_response", seconds: 61, attempts: 1, notes: [] },
    ];
    stream().say("result", { ...COMPLETE, steps, suggestions: ["What about “Retries”?"] });
    const summary = screen.getByText("2 steps in 1 min 4 s");
    expect(summary.closest("details")?.open).toBe(false);
    expect(screen.getByText("2 attempts")).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "What about “Retries”?" }));
    await waitFor(() => expect(Stream.opened).toHaveLength(2));
    expect(posted().at(-1)).toMatchObject({ messages: [{}, {}, { content: "What about “Retries”?" }], parentId: "m1" });
    expect(screen.queryByRole("button", { name: "What about “Retries”?" })).toBeNull();
  });

  it("shows the passages that were found when there is no answer", async () => {
    await ask();
    stream().say("result", { status: "failed", message: "The worker was lost.", citations: [], found: COMPLETE.citations });
    expect(screen.getByText("Passages that were found")).toBeTruthy();
    expect(screen.getByText("pip install", { selector: ".quote" })).toBeTruthy();
  });

  it("keeps what the person thinks of an answer", async () => {
    await ask();
    stream().say("result", COMPLETE);
    const good = screen.getByRole("button", { name: "A good answer" });
    await userEvent.click(good);
    expect(calls.at(-1)).toMatchObject({ path: "/message/m1/feedback", method: "PUT", body: { feedback: "good" } });
    expect(good.getAttribute("aria-pressed")).toBe("true");
    await userEvent.click(good);
    expect(calls.at(-1)).toMatchObject({ body: { feedback: null } });
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

describe("a kept conversation", () => {
  beforeEach(() => history.replaceState(null, "", "/c/c1"));

  it("has an address, at which it is shown again", async () => {
    kept = [question, { ...answerTo, result: COMPLETE }];
    render(<App />);
    expect((await screen.findByTestId("answer")).textContent).toBe("With pip 1.");
    expect(screen.getByRole("heading", { level: 1 }).textContent).toBe("How?");
    expect(Stream.opened).toHaveLength(0);
  });

  it("lets nothing be asked before it is there, which would lose it", async () => {
    let arrive = () => {};
    held = new Promise((resolve) => (arrive = resolve));
    kept = [question, { ...answerTo, result: COMPLETE }];
    render(<App />);
    await screen.findByDisplayValue("https://e.org/docs/");
    await userEvent.type(screen.getByLabelText("Your question"), "And then?{Enter}");
    expect(posted()).toHaveLength(0);
    act(arrive);
    await screen.findByTestId("answer");
    await userEvent.type(screen.getByLabelText("Your question"), "{Enter}");
    await waitFor(() => expect(Stream.opened).toHaveLength(1));
    expect(posted()[0]).toMatchObject({
      messages: [{ content: "How?" }, { content: "With pip [1]." }, { role: "user", content: "And then?" }],
      conversationId: "c1",
      parentId: "m0",
      url: "https://e.org/",
    });
    expect(screen.getByText("And then?", { selector: ".question p" })).toBeTruthy();
  });

  it("goes on watching an answer that is still being written", async () => {
    kept = [question, { ...answerTo, status: "running", content: "Wi" }];
    render(<App />);
    await waitFor(() => expect(stream().url).toBe("/message/m0"));
    stream().say("token", { offset: 0, text: "With" });
    expect(screen.getByTestId("answer").textContent).toBe("With");
  });

  it("is said not to be there when it is not", async () => {
    render(<App />);
    expect(await screen.findByText("There is no such conversation")).toBeTruthy();
    expect(screen.queryByLabelText("Your question")).toBeNull();
  });

  it("is renamed, shared and deleted, the last after a question", async () => {
    kept = [question, { ...answerTo, result: COMPLETE }];
    render(<App />);
    await screen.findByTestId("answer");
    await userEvent.click(screen.getByRole("button", { name: "Share" }));
    await userEvent.click(screen.getByRole("button", { name: "Make a link" }));
    expect(calls.findLast((call) => call.path.endsWith("/share"))?.body).toEqual({ messageId: "m0" });
    expect(screen.getByLabelText<HTMLInputElement>("Link").value).toBe(`${location.origin}/s/${"L".repeat(43)}`);
    await userEvent.click(screen.getByRole("button", { name: "Stop sharing" }));
    expect(calls.findLast((call) => call.path.endsWith("/share"))?.method).toBe("DELETE");
    await userEvent.click(screen.getByRole("button", { name: "Close" }));

    await userEvent.click(screen.getByRole("button", { name: "Delete" }));
    await userEvent.click(screen.getByRole("button", { name: "Keep it" }));
    expect(calls.some((call) => call.path === "/conversations/c1" && call.method === "DELETE")).toBe(false);
    await userEvent.click(screen.getByRole("button", { name: "Delete" }));
    await userEvent.click(screen.getAllByRole("button", { name: "Delete" }).at(-1) as HTMLElement);
    await waitFor(() => expect(location.pathname).toBe("/"));
    expect(calls.some((call) => call.path === "/conversations/c1" && call.method === "DELETE")).toBe(true);
    expect(screen.getByText("What would you like to know?")).toBeTruthy();
  });
});

describe("the list of conversations", () => {
  const heading = { conversationId: "c1", title: "How?", updatedAt: new Date().toISOString(), sharedAt: null, excerpt: null };

  it("leads to each, and gets the one that begins", async () => {
    headings = [heading];
    kept = [question, { ...answerTo, result: COMPLETE }];
    render(<App />);
    const link = await screen.findByRole("link", { name: "How?" });
    expect(link.getAttribute("href")).toBe("/c/c1");
    await userEvent.click(link);
    expect((await screen.findByTestId("answer")).textContent).toBe("With pip 1.");
    expect(location.pathname).toBe("/c/c1");
    await userEvent.click(screen.getByRole("link", { name: "New conversation" }));
    expect(screen.getByText("What would you like to know?")).toBeTruthy();
    const looks = () => calls.filter((call) => call.path.startsWith("/conversations?")).length;
    const before = looks();
    await userEvent.type(screen.getByLabelText("Your question"), "Why?{Enter}");
    await waitFor(() => expect(looks()).toBe(before + 1));
    expect(location.pathname).toMatch(/^\/c\/[0-9a-f-]{36}$/);
    // The page stayed: what is asked is still there, and watched.
    expect(screen.getByText("Why?", { selector: ".question p" })).toBeTruthy();
    expect(Stream.opened.at(-1)?.readyState).toBe(1);
  });

  it("finds conversations by words, and says when there are none", async () => {
    headings = [heading];
    render(<App />);
    await screen.findByRole("link", { name: "How?" });
    headings = [];
    await userEvent.type(screen.getByLabelText("Search conversations"), "pip install");
    expect(await screen.findByText("No conversation has these words.")).toBeTruthy();
    expect(calls.at(-1)?.path).toBe("/conversations?search=pip+install");
  });
});

describe("what a question is about", () => {
  const url = () => screen.getByLabelText<HTMLInputElement>("About");
  const chips = () => within(screen.getByRole("list", { name: "Further sources" })).getAllByRole("listitem").map((chip) => chip.title);

  it("is several addresses, added and taken away by the keyboard, and kept in the address of the page", async () => {
    render(<App />);
    await screen.findByDisplayValue("https://e.org/docs/");
    await userEvent.type(url(), "{Enter}https://e.org/more{Enter}");
    expect(chips()).toEqual(["https://e.org/docs/", "https://e.org/more"]);
    expect(new URLSearchParams(location.search).getAll("about")).toEqual(["https://e.org/docs/", "https://e.org/more"]);
    await userEvent.type(url(), "{Backspace}");
    expect(chips()).toEqual(["https://e.org/docs/"]);
    await userEvent.type(url(), "no address{Enter}");
    expect(chips()).toEqual(["https://e.org/docs/"]);
    await userEvent.clear(url());
    await userEvent.type(url(), "https://e.org/third");
    await userEvent.type(screen.getByLabelText("Your question"), "How?{Enter}");
    await waitFor(() => expect(posted()).toHaveLength(1));
    expect(posted()[0]).toMatchObject({ url: "https://e.org/third", sources: ["https://e.org/docs/"], mode: "balanced" });
    // The next question is about the same.
    stream().say("result", COMPLETE);
    expect(chips()).toEqual(["https://e.org/docs/"]);
  });

  it("is also files and sources of the library, which have names", async () => {
    render(<App />);
    await screen.findByDisplayValue("https://e.org/docs/");
    await userEvent.click(screen.getByRole("button", { name: "Sources" }));
    const dialog = within(screen.getByRole("dialog", { name: "Sources" }));
    await userEvent.click(await dialog.findByRole("checkbox", { name: /^manual.pdf/ }));
    expect(dialog.getByRole<HTMLInputElement>("checkbox", { name: /broken/ }).disabled).toBe(true);
    await userEvent.upload(dialog.getByLabelText("Files to ask about"), new File(["x"], "new.pdf", { type: "application/pdf" }));
    expect(calls.some((call) => call.path === "/sources/files?name=new.pdf")).toBe(true);
    await userEvent.click(dialog.getByRole("button", { name: "Close" }));
    await waitFor(() => expect(chips()[0]).toBe("manual.pdf"));
    expect(chips()).toHaveLength(2);
    await userEvent.click(screen.getByRole("button", { name: "Leave out manual.pdf" }));
    await userEvent.type(screen.getByLabelText("Your question"), "How?{Enter}");
    await waitFor(() => expect(posted()).toHaveLength(1));
    expect(posted()[0]).toMatchObject({ url: "https://e.org/docs/", sources: ["source:s9"] });
  });

  it("can be said by a link, as the library does", async () => {
    history.replaceState(null, "", "/?about=source:s1&about=https://e.org/more");
    render(<App />);
    expect(await screen.findByDisplayValue("https://e.org/more")).toBeTruthy();
    await waitFor(() => expect(chips()).toEqual(["manual.pdf"]));
    await userEvent.clear(url());
    await userEvent.type(screen.getByLabelText("Your question"), "How?{Enter}");
    await waitFor(() => expect(posted()).toHaveLength(1));
    expect(posted()[0]).toMatchObject({ url: "source:s1", sources: [] });
    expect(screen.getByText("manual.pdf", { selector: ".about" })).toBeTruthy();
  });
});

describe("how thorough an answer is", () => {
  it("is chosen by a switch, which is in the address, and shows the plan", async () => {
    render(<App />);
    await screen.findByDisplayValue("https://e.org/docs/");
    expect(screen.getByRole<HTMLInputElement>("radio", { name: "Balanced" }).checked).toBe(true);
    await userEvent.click(screen.getByRole("radio", { name: "Thorough" }));
    expect(location.search).toBe("?mode=thorough");
    await userEvent.type(screen.getByLabelText("Your question"), "How?{Enter}");
    await waitFor(() => expect(Stream.opened).toHaveLength(1));
    expect(posted()[0]).toMatchObject({ mode: "thorough" });
    expect(document.querySelector('[data-stage="planning"]')).not.toBeNull();
    stream().say("step", { step: "plan", phase: "finished", status: "reading", attempt: 1, searched_for: ["What?", "Why?"] });
    expect(screen.getByText("Plan: 2 questions").closest("details")?.open).toBe(true);
    expect(screen.getByText("Why?")).toBeTruthy();
    stream().say("result", { ...COMPLETE, searched_for: ["What?", "Why?"] });
    expect(screen.getByText("Plan: 2 questions").closest("details")?.open).toBe(false);
    // What was chosen stays chosen for the next question.
    expect(screen.getByRole<HTMLInputElement>("radio", { name: "Thorough" }).checked).toBe(true);
  });

  it("names a mode that there is not", async () => {
    history.replaceState(null, "", "/?mode=slow");
    render(<App />);
    expect((await screen.findByRole("alert")).textContent).toBe("There is no mode “slow”: it is quick, balanced, thorough.");
  });

  it("says what was searched for, and that the sources do not say", async () => {
    await ask();
    stream().say("result", { ...COMPLETE, message: "They do not say.", citations: [], not_said: true, searched_for: ["How on Windows?"] });
    expect(screen.getByText("Searched for “How on Windows?”")).toBeTruthy();
    expect(screen.getByText("The sources do not say")).toBeTruthy();
    expect(screen.queryByRole("heading", { name: "Sources" })).toBeNull();
  });
});

describe("a shared conversation", () => {
  it("can be read and not changed", async () => {
    history.replaceState(null, "", `/s/${"L".repeat(43)}`);
    kept = [{ ...question, messageId: undefined }, { ...answerTo, messageId: undefined, runId: undefined, result: COMPLETE }];
    render(<App />);
    expect((await screen.findByTestId("answer")).textContent).toBe("With pip 1.");
    for (const name of ["Ask again", "Edit the question", "A good answer", "Share", "Delete", "Ask"]) {
      expect(screen.queryByRole("button", { name })).toBeNull();
    }
    expect(screen.queryByRole("link", { name: "Show the run behind this answer" })).toBeNull();
  });
});
