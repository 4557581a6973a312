/** The first page: what fails, waits and runs, and where the run list went that stood at its address. */
import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { engine, onGet, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { metrics, RUN_ID, runList, runRow, TENANT_ID } from "../test/wire";

withEngine();

const RUNS = `/api/v1/stable/tenants/${TENANT_ID}/workflow-runs`;

/** A run for each status that is asked for, with an error if it failed. */
function withRuns(): void {
  engine.use(
    onGet(RUNS, (request: Request) => {
      const status = new URL(request.url).searchParams.get("statuses") ?? "COMPLETED";
      const errorMessage = status === "FAILED" ? "KeyError: 'amount'\nTraceback (most recent call last):\n  …" : undefined;
      return runList([runRow({ status, displayName: `${status.toLowerCase()}-run`, errorMessage })]);
    }),
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/task-metrics`, metrics({ FAILED: 3, QUEUED: 2, RUNNING: 1, COMPLETED: 9 })),
  );
}

test("failures stand there with the first line of their error, and lead to the list of all of them", async () => {
  withRuns();
  renderApp("/?range=7d");
  const failed = await screen.findByRole("region", { name: "Failed" });
  expect(await within(failed).findByRole("link", { name: "failed-run" })).toHaveAttribute("href", `/runs/${RUN_ID}`);
  expect(within(failed).getByText("KeyError: 'amount'")).toBeInTheDocument();
  const all = await within(failed).findByRole("link", { name: /^3 failed: in the list/ });
  expect(all).toHaveAttribute("href", "/runs?window=7d&status=%5B%22FAILED%22%5D");
  expect(await within(screen.getByRole("region", { name: "Waiting" })).findByRole("link", { name: "queued-run" })).toBeInTheDocument();
  expect(await within(screen.getByRole("region", { name: "Running now" })).findByRole("link", { name: "running-run" })).toBeInTheDocument();
  const workers = screen.getByRole("region", { name: "Workers" });
  expect(await within(workers).findByRole("img", { name: "worker-a: 1 of 100 slots in use" })).toBeInTheDocument();
});

test("a link to the run list at its old address still leads to the runs that it meant", async () => {
  withRuns();
  const { router } = renderApp("/?status=FAILED&window=7d");
  expect(await screen.findByRole("heading", { name: "Runs", level: 1 })).toBeInTheDocument();
  await waitFor(() => expect(router.state.location.pathname).toBe("/runs"));
  expect(router.state.location.search).toMatchObject({ status: ["FAILED"], window: "7d" });
});

test("whoever has never run anything is told how to begin", async () => {
  renderApp("/");
  expect(await screen.findByRole("heading", { name: /Here is a first one/ })).toBeInTheDocument();
});
