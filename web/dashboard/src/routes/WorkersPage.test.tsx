/** The list of workers and the page of one. */
import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { engine, onGet, onPatch, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { EXTRACT_ID, runList, taskRow, TENANT_ID, WORKER_ID, WORKERS } from "../test/wire";

withEngine();

const LIST = `/api/v1/tenants/${TENANT_ID}/worker`;
const WORKER = {
  ...WORKERS.rows[0],
  labels: [{ metadata: { id: "l", createdAt: "2025-01-31T09:15:00Z", updatedAt: "2025-01-31T09:15:00Z" }, key: "gpu", value: "2" }],
  actions: Array.from({ length: 13 }, (_, number) => `etl:step-${number}`),
  slots: [{ stepRunId: EXTRACT_ID, actionId: "etl:step-1", workflowRunId: EXTRACT_ID, startedAt: "2025-01-31T09:15:00Z" }],
  registeredWorkflows: [{ id: "5d1f6f3a-0000-4000-8000-0000000000aa", name: "etl" }],
  runtimeInfo: { language: "PYTHON", sdkVersion: "1.43.1", languageVersion: "3.11.9", os: "Linux 6.1 on host-7" },
};

test("the list is filtered by status and label, in the address", async () => {
  let asked = new URLSearchParams();
  engine.use(
    onGet(LIST, (request: Request) => {
      asked = new URL(request.url).searchParams;
      return { rows: asked.getAll("statuses").includes("INACTIVE") ? [] : [WORKER], pagination: {} };
    }),
  );
  const { user, router } = renderApp("/workers?label=gpu:2");
  const row = (await screen.findByRole("rowheader", { name: /worker-a/ })).closest("tr");
  expect(row).toHaveTextContent("gpu=2");
  expect(within(row as HTMLElement).getByRole("img", { name: "worker-a: 1 of 100 slots in use" })).toBeInTheDocument();
  expect(within(row as HTMLElement).getByRole("link", { name: "13 actions of worker-a" })).toBeInTheDocument();
  expect(asked.getAll("labels")).toEqual(["gpu:2"]);
  await user.click(screen.getByRole("button", { name: "Inactive" }));
  expect(await screen.findByText("No worker matches this filter")).toBeInTheDocument();
  expect(router.state.location.search).toEqual({ status: "INACTIVE", label: "gpu:2" });
  await user.click(screen.getByRole("button", { name: "Show all workers" }));
  expect(await screen.findByRole("rowheader", { name: /worker-a/ })).toBeInTheDocument();
});

test("a worker's page has all its actions, labels, system, load and what it ran, and is paused after a question", async () => {
  let asked: unknown;
  engine.use(
    onGet(`/api/v1/workers/${WORKER_ID}`, WORKER),
    onGet(`/api/v1/stable/workers/${WORKER_ID}/load`, {
      widthS: 1_800,
      results: [{ time: "2025-01-31T09:00:00Z", succeeded: 4, failed: 1, running: 3 }],
    }),
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/workflow-runs`, (request: Request) => {
      expect(new URL(request.url).searchParams.get("worker_id")).toBe(WORKER_ID);
      return runList([taskRow()]);
    }),
    onPatch(`/api/v1/workers/${WORKER_ID}`, (body) => {
      asked = body;
      return { ...WORKER, status: "PAUSED" };
    }),
  );
  const { user } = renderApp(`/workers/${WORKER_ID}`);
  expect(within(await screen.findByRole("region", { name: "Actions" })).getAllByText(/^etl:step-/)).toHaveLength(13);
  const about = screen.getByRole("region", { name: "About" });
  expect(about).toHaveTextContent("Linux 6.1 on host-7");
  expect(about).toHaveTextContent("gpu=2");
  expect(await screen.findByRole("img", { name: "Slots in use, last day: at once at most 3" })).toBeInTheDocument();
  const tasks = screen.getByRole("region", { name: "Its tasks" });
  expect(await within(tasks).findByRole("link", { name: "extract-1738314900123" })).toHaveAttribute("href", `/runs/${EXTRACT_ID}`);
  await user.click(screen.getByRole("button", { name: "Pause worker-a" }));
  expect(screen.getByText(/slots in use at the moment: 1/)).toBeInTheDocument();
  expect(asked).toBeUndefined();
  await user.click(screen.getByRole("button", { name: "Pause it" }));
  await waitFor(() => expect(asked).toEqual({ isPaused: true }));
});
