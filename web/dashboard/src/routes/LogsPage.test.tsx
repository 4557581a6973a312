/** Log lines of the tenant: filtered by the engine, counted over time, and narrowed to a time. */
import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { engine, onGet, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { EXTRACT_ID, failedRun, LOAD_ID, RUN_ID, TENANT_ID, WORKFLOW_ID } from "../test/wire";

withEngine();

const LOGS = `/api/v1/stable/tenants/${TENANT_ID}/logs`;
const POINTS = `/api/v1/stable/tenants/${TENANT_ID}/log-point-metrics`;
const line = (message: string) => ({
  createdAt: "2025-01-31T09:15:01Z",
  message,
  taskExternalId: EXTRACT_ID,
  taskDisplayName: "extract-1",
  attempt: 1,
  level: "WARN",
  metadata: {},
});
const POINT = { time: "2025-01-31T09:15:00Z", DEBUG: 0, INFO: 2, WARN: 1, ERROR: 0 };
const NEXT = { time: "2025-01-31T09:16:00Z", DEBUG: 0, INFO: 0, WARN: 0, ERROR: 0 };

test("filters stand in the address, and lines and chart are asked for with all of them", async () => {
  const asked: Record<"lines" | "points", URLSearchParams> = { lines: new URLSearchParams(), points: new URLSearchParams() };
  engine.use(
    onGet(LOGS, (request: Request) => {
      asked.lines = new URL(request.url).searchParams;
      return { rows: [line("disk is full")], pagination: {} };
    }),
    onGet(POINTS, (request: Request) => {
      asked.points = new URL(request.url).searchParams;
      return { results: [POINT, NEXT], countedSince: "2025-01-31T09:14:00Z" };
    }),
  );
  const { user, router } = renderApp(`/logs?search=full&workflow=${WORKFLOW_ID}`);
  expect(await screen.findByText("disk is full")).toBeInTheDocument();
  const chart = await screen.findByRole("img", { name: /^Lines over time: error at most 0, warn at most 1, info at most 2/ });
  expect(chart).toBeInTheDocument();
  expect(screen.getByText(/There are more lines than are counted/)).toBeInTheDocument();
  await user.click(within(screen.getByRole("group", { name: "Filter by level" })).getByRole("button", { name: "WARN" }));
  await waitFor(() => expect(asked.points.getAll("levels")).toEqual(["WARN"]));
  for (const question of Object.values(asked)) {
    expect(question.get("search")).toBe("full");
    expect(question.getAll("workflow_ids")).toEqual([WORKFLOW_ID]);
    expect(question.getAll("levels")).toEqual(["WARN"]);
  }
  // A time is chosen from the chart's table.
  await user.click(screen.getByText("As a table"));
  await user.click(within(await screen.findByRole("table", { name: "Lines over time" })).getByRole("button"));
  await waitFor(() => expect(router.state.location.search).toMatchObject({ from: "2025-01-31T09:15:00.000Z", to: "2025-01-31T09:16:00.000Z" }));
  await waitFor(() => expect(asked.lines.get("until")).toBe("2025-01-31T09:16:00.000Z"));
  expect(screen.getByRole("button", { name: "Follow" })).toBeDisabled();
  await user.click(screen.getByRole("button", { name: /show the whole time range/ }));
  await waitFor(() => expect(asked.lines.has("until")).toBe(false));
});

test("the lines of a run are those of all its tasks", async () => {
  let asked: string[] = [];
  engine.use(
    onGet(`/api/v1/stable/workflow-runs/${RUN_ID}`, failedRun()),
    onGet(LOGS, (request: Request) => {
      asked = new URL(request.url).searchParams.getAll("taskExternalIds");
      return { rows: [line("of the run")], pagination: {} };
    }),
    onGet(POINTS, { results: [] }),
  );
  renderApp(`/logs?run=${RUN_ID}`);
  expect(await screen.findByText("of the run")).toBeInTheDocument();
  expect(asked).toEqual([EXTRACT_ID, LOAD_ID]);
});

test("new lines are followed until that is switched off", async () => {
  let count = 1;
  engine.use(
    onGet(LOGS, () => ({ rows: Array.from({ length: count }, (_, number) => line(`line ${number}`)), pagination: {} })),
    onGet(POINTS, { results: [] }),
  );
  const { user, queryClient } = renderApp("/logs");
  expect(await screen.findByText("line 0")).toBeInTheDocument();
  const isFollowed = () => queryClient.getQueryCache().find({ queryKey: ["tenant-logs"], exact: false })?.meta?.["isConstant"] !== true;
  expect(isFollowed()).toBe(true);
  count = 2;
  await queryClient.invalidateQueries({ queryKey: ["tenant-logs"] });
  expect(await screen.findByText("line 1")).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Following" }));
  expect(screen.getByRole("button", { name: "Follow" })).toBeInTheDocument();
  expect(isFollowed()).toBe(false);
});
