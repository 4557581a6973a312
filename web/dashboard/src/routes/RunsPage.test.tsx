import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { engine, onGet, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { metrics, RUN_ID, runList, runRow, TENANT_ID, WORKFLOW_ID, WORKFLOWS } from "../test/wire";

withEngine();

const RUNS = `/api/v1/stable/tenants/${TENANT_ID}/workflow-runs`;
const METRICS = `/api/v1/stable/tenants/${TENANT_ID}/task-metrics`;

test("a run is a row with status, workflow, duration, metadata and a link to its page", async () => {
  engine.use(onGet(RUNS, runList([runRow()])));
  renderApp("/runs");
  const row = (await screen.findByRole("link", { name: "etl-1738314900123" })).closest("tr");
  expect(row).toHaveTextContent("Completed");
  expect(row).toHaveTextContent("2.00 s");
  expect(row).toHaveTextContent("customer: acme");
  expect(within(row as HTMLElement).getByRole("link")).toHaveAttribute("href", `/runs/${RUN_ID}`);
  expect(within(row as HTMLElement).getByRole("cell", { name: "etl" })).toBeInTheDocument();
});

test("the status chips show counts and filter by what is pressed", async () => {
  const asked: string[][] = [];
  engine.use(
    onGet(METRICS, metrics({ COMPLETED: 12, FAILED: 3 })),
    onGet(RUNS, (request: Request) => {
      const statuses = new URL(request.url).searchParams.getAll("statuses");
      asked.push(statuses);
      return runList([runRow(statuses.includes("FAILED") ? { status: "FAILED" } : {})]);
    }),
  );
  const { user, router } = renderApp("/runs");
  const failed = await screen.findByRole("button", { name: "Failed 3" });
  expect(screen.getByRole("button", { name: "Completed 12" })).toHaveAttribute("aria-pressed", "false");
  await user.click(failed);
  expect(await screen.findByText("Failed", { selector: "[data-testid=status]" })).toBeInTheDocument();
  expect(screen.getByRole("button", { name: "Failed 3" })).toHaveAttribute("aria-pressed", "true");
  expect(asked[0]).toEqual([]);
  expect(asked.at(-1)).toEqual(["FAILED"]);
  expect(router.state.location.search).toEqual({ status: ["FAILED"] });
});

test("pages follow num_pages, and a changed filter starts again at the first", async () => {
  const offsets: (string | null)[] = [];
  engine.use(
    onGet(RUNS, (request: Request) => {
      offsets.push(new URL(request.url).searchParams.get("offset"));
      return runList([runRow()], 3);
    }),
  );
  const { user, router } = renderApp("/runs");
  await user.click(await screen.findByRole("button", { name: "Older" }));
  expect(await screen.findByText("Page 2 of 3")).toBeInTheDocument();
  await waitFor(() => expect(offsets).toContain("50"));
  await user.selectOptions(screen.getByRole("combobox", { name: "Time range" }), "7d");
  await waitFor(() => expect(router.state.location.search).toEqual({ window: "7d" }));
});

test("the time range and workflow in the address reach the engine", async () => {
  let asked = new URLSearchParams();
  engine.use(
    onGet(RUNS, (request: Request) => {
      asked = new URL(request.url).searchParams;
      return runList([runRow()]);
    }),
  );
  renderApp(`/runs?window=1h&workflow=${WORKFLOW_ID}`);
  await screen.findByRole("link", { name: "etl-1738314900123" });
  expect(asked.getAll("workflow_ids")).toEqual([WORKFLOW_ID]);
  expect(asked.get("only_tasks")).toBe("false");
  const ageMs = Date.now() - Date.parse(asked.get("since") ?? "");
  expect(ageMs).toBeGreaterThanOrEqual(3_600_000);
  expect(ageMs).toBeLessThan(3_660_000);
});

test("a newcomer without any workflow is led to where a first run is made", async () => {
  engine.use(onGet(`/api/v1/tenants/${TENANT_ID}/workflows`, { ...WORKFLOWS, rows: [] }));
  renderApp("/runs");
  expect(await screen.findByRole("link", { name: "Make a first one" })).toHaveAttribute("href", "/");
});

test("a filter that matches nothing can be taken back", async () => {
  engine.use(
    onGet(RUNS, (request: Request) =>
      runList(new URL(request.url).searchParams.getAll("statuses").length > 0 ? [] : [runRow()]),
    ),
  );
  const { user } = renderApp('/?status=["CANCELLED"]');
  await user.click(await screen.findByRole("button", { name: "Show all runs" }));
  expect(await screen.findByRole("link", { name: "etl-1738314900123" })).toBeInTheDocument();
});

test("what the engine says went wrong is shown, and can be tried again", async () => {
  engine.use(onGet(RUNS, () => refusal(400, "since: give a timestamp")));
  const { user } = renderApp("/runs");
  expect(await screen.findByRole("alert")).toHaveTextContent("since: give a timestamp");
  engine.use(onGet(RUNS, runList([runRow()])));
  await user.click(screen.getByRole("button", { name: "Try again" }));
  expect(await screen.findByRole("link", { name: "etl-1738314900123" })).toBeInTheDocument();
});

test("an answer in a shape we do not know is named, not swallowed", async () => {
  engine.use(onGet(RUNS, runList([runRow({ status: "EXPLODED" })])));
  renderApp("/runs");
  expect(await screen.findByRole("alert")).toHaveTextContent("rows.0.status");
});

test("workers and workflows have their lists", async () => {
  const { user } = renderApp("/workers");
  const worker = (await screen.findByRole("rowheader", { name: /worker-a/ })).closest("tr");
  expect(worker).toHaveTextContent("1 of 100 default");
  expect(worker).toHaveTextContent("Python 3.11.9 · SDK 1.43.1");
  await user.click(screen.getByRole("link", { name: "Workflows" }));
  expect(await screen.findByRole("rowheader", { name: /etl\s*Paused/ })).toBeInTheDocument();
  expect(screen.getByRole("link", { name: "Runs of etl" })).toHaveAttribute("href", `/runs?workflow=${WORKFLOW_ID}`);
});
