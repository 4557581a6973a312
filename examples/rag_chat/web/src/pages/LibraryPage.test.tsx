import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { EvaluationPage } from "./EvaluationPage";
import { LibraryPage } from "./LibraryPage";

const READING = { sourceId: "s1", address: "source:s1", kind: "site", url: "https://e.org/docs/", status: "reading", error: null, pages: 3, found: 9, rereadDays: 1 };
const READY = { ...READING, status: "ready", pages: 9 };
const answers = new Map<string, unknown>();
const sent: [string, RequestInit | undefined][] = [];

beforeEach(() => {
  answers.clear();
  sent.length = 0;
  vi.stubGlobal("fetch", (path: string, init?: RequestInit) => {
    sent.push([`${init?.method ?? "GET"} ${path}`, init]);
    const body = answers.get(`${init?.method ?? "GET"} ${path}`);
    if (body === undefined) return Promise.resolve(Response.json({ error: { message: "It is not here." } }, { status: 404 }));
    return Promise.resolve(Response.json(body));
  });
});

afterEach(() => {
  history.replaceState(null, "", "/");
  sessionStorage.clear();
});

test("the shelf shows what is read and how far it is", async () => {
  answers.set("GET /sources", { sources: [READING, { ...READY, sourceId: "s2", url: "notes.md", kind: "file", status: "failed", error: "It has no text." }] });
  render(<LibraryPage />);
  expect(await screen.findByText("reading, 3 of 9 so far")).toBeTruthy();
  expect(screen.getByRole("progressbar", { name: "Reading https://e.org/docs/" }).getAttribute("value")).toBe("3");
  expect(screen.getByText("It has no text.")).toBeTruthy();
});

test("an empty library says what to do, and one that is away says so", async () => {
  answers.set("GET /sources", { sources: [] });
  const { unmount } = render(<LibraryPage />);
  expect(await screen.findByText(/Nothing is here yet/)).toBeTruthy();
  unmount();
  answers.clear();
  render(<LibraryPage />);
  expect((await screen.findByRole("alert")).textContent).toContain("It is not here.");
});

test("an address is given, and its own page opens", async () => {
  answers.set("GET /sources", { sources: [] });
  answers.set("POST /sources", READING);
  answers.set("GET /sources/s1", { ...READING, pageList: [] });
  render(<LibraryPage />);
  await userEvent.type(await screen.findByLabelText("Address"), "https://e.org/docs/");
  await userEvent.selectOptions(screen.getByLabelText("Read again"), "7");
  await userEvent.click(screen.getByRole("button", { name: "Read" }));
  expect(await screen.findByRole("heading", { name: "https://e.org/docs/" })).toBeTruthy();
  const [, init] = sent.find(([what]) => what === "POST /sources") ?? [];
  expect(JSON.parse(String(init?.body))).toEqual({ url: "https://e.org/docs/", site: true, rereadDays: 7 });
  expect(location.search).toBe("?source=s1");
});

test("a file that is refused says why and nothing opens", async () => {
  answers.set("GET /sources", { sources: [] });
  render(<LibraryPage />);
  await userEvent.upload(await screen.findByLabelText("A PDF, Markdown or text file"), new File(["x"], "a.md", { type: "text/markdown" }));
  expect((await screen.findByRole("alert")).textContent).toContain("It is not here.");
  expect(location.search).toBe("");
});

test("a source is asked about, and taken out only after a second word", async () => {
  history.replaceState(null, "", "/library?source=s1");
  answers.set("GET /sources/s1", { ...READY, pageList: [{ pageId: 4, title: "Install", url: "https://e.org/docs/i", passages: 2, changes: 1 }] });
  answers.set("DELETE /sources/s1", {});
  answers.set("GET /sources", { sources: [] });
  render(<LibraryPage />);
  expect(await screen.findByText("2 passages, changed once")).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: "Take out…" }));
  await userEvent.click(screen.getByRole("button", { name: "Keep it" }));
  expect(sent.some(([what]) => what.startsWith("DELETE"))).toBe(false);
  await userEvent.click(screen.getByRole("link", { name: "Ask about it" }));
  expect(location.pathname + location.search).toBe("/?about=source%3As1");
});

test("a page shows its passages, who cites them and what changed", async () => {
  history.replaceState(null, "", "/library?source=s1&page=4");
  const passage = { passageId: 7, heading: "With pip", url: "https://e.org/docs/i#pip", body: "First:\n\n```bash\npip install it\n```\n\n![a cat](https://e.org/cat.png)", answers: 3, ownAnswers: [{ conversationId: "c1", question: "How do I install it?" }] };
  answers.set("GET /pages/4", {
    title: "Install",
    url: "https://e.org/docs/i",
    checkedAt: "2026-11-30T11:00:00Z",
    passages: [passage],
    changes: [{ changedAt: "2026-11-30T10:00:00Z", added: ["pip install it"], removed: ["conda install it"] }],
  });
  render(<LibraryPage />);
  const [passages] = await screen.findAllByRole("list");
  if (passages === undefined) throw new Error("no list of passages");
  await userEvent.click(within(passages).getByText("3 answers cite it"));
  expect(within(passages).getByRole("link", { name: "How do I install it?" }).getAttribute("href")).toBe("/c/c1");
  expect(within(passages).getByText("and 2 more, earlier ones or those of other people")).toBeTruthy();
  expect(within(passages).getByText("pip install it").tagName).toBe("CODE");
  expect(within(passages).queryByRole("img")).toBeNull();
  expect(screen.getByText("conda install it").tagName).toBe("DEL");
});

test("methods stand side by side", async () => {
  history.replaceState(null, "", "/evaluation?of=e1");
  const summary = { questions: 2, found: 1, first: 1, recall: 0.5, precision: 0.25, reciprocal_rank: 0.5 };
  answers.set("GET /evaluations/e1", {
    evaluationId: "e1",
    url: "https://e.org/docs/",
    status: "complete",
    questions: 2,
    done: 2,
    summaries: { both: summary, words: { ...summary, first: 0 } },
    answers: [{ position: 0, question: "How?", pages: ["install"], scores: { words: { rank: null, pages: ["faq"] }, both: { rank: 1, pages: ["install"] } } }],
  });
  render(<EvaluationPage />);
  const measures = await screen.findByRole("region", { name: "Measures by method" });
  expect(within(measures).getAllByRole("row").map((row) => row.textContent)).toEqual([
    "MethodFoundFirstRecallPrecisionMean reciprocal rank",
    "words1 of 200.500.250.50",
    "both1 of 210.500.250.50",
  ]);
  expect(screen.getByRole("row", { name: "How? none 1 install" })).toBeTruthy();
});
