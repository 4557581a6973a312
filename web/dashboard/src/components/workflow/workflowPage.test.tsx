/** The page of one workflow: what it shows of its definition, its versions and its runs, and how it is paused and deleted. */
import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { aTask } from "../../test/factories";
import { engine, onDelete, onGet, onPatch, withEngine } from "../../test/engine";
import { renderApp } from "../../test/renderApp";
import { runList, runRow, TENANT_ID, WORKFLOW_ID } from "../../test/wire";
import { durationsOf } from "./History";
import { linesOf } from "./VersionDiff";

withEngine();

const CREATED_AT = "2025-01-31T09:15:00.123456Z";
const meta = (id: string) => ({ id, createdAt: CREATED_AT, updatedAt: CREATED_AT });
const OLD = "5d1f6f3a-0000-4000-8000-0000000000f1";
const NEW = "5d1f6f3a-0000-4000-8000-0000000000f2";

function task(name: string, changes = {}) {
  return {
    id: `id-${name}`,
    name,
    action_id: `etl:${name}`,
    parents: [],
    execution_timeout_us: 60_000_000,
    schedule_timeout_us: 300_000_000,
    retries: 0,
    backoff_factor: null,
    backoff_max_s: null,
    slots: { default: 1 },
    concurrency: [],
    rate_limits: [],
    batch: null,
    is_durable: false,
    conditions: [],
    ...changes,
  };
}

function version(id: string, order: number, tasks: readonly unknown[]) {
  return {
    metadata: meta(id),
    version: `v${order}`,
    order,
    workflowId: WORKFLOW_ID,
    triggers: { events: [], crons: [] },
    defaultPriority: 1,
    scheduleTimeout: "5m0s",
    v1Concurrency: [],
    workflowConfig: { name: "etl", tasks, on_failure: null },
  };
}

function withWorkflow(isPaused = false): void {
  const after = version(NEW, 2, [
    task("extract"),
    task("load", {
      parents: ["extract"],
      retries: 3,
      rate_limits: [{ key: "mail", units: 2 }],
      conditions: [{ action: "QUEUE", event_key: "go" }],
    }),
  ]);
  const before = version(OLD, 1, [task("extract")]);
  engine.use(
    onGet(`/api/v1/workflows/${WORKFLOW_ID}`, {
      metadata: meta(WORKFLOW_ID),
      name: "etl",
      isPaused,
      pausedAt: isPaused ? "2025-01-31T09:00:00.000000Z" : null,
      pausedBy: isPaused ? "ann@example.com" : null,
      pausedWorkflowCronRunQueueBehavior: "DROP",
      pausedWorkflowScheduledRunQueueBehavior: "QUEUE",
      versions: [
        { metadata: meta(NEW), version: "v2", order: 2 },
        { metadata: meta(OLD), version: "v1", order: 1 },
      ],
    }),
    onGet(`/api/v1/workflows/${WORKFLOW_ID}/versions`, (request: Request) =>
      new URL(request.url).searchParams.get("version") === OLD ? before : after,
    ),
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/workflow-runs`, runList([runRow()])),
  );
}

test("tasks say what holds them back, and the newest runs are there", async () => {
  withWorkflow();
  renderApp(`/workflows/${WORKFLOW_ID}`);
  const tasks = await screen.findByRole("region", { name: "Tasks" });
  expect(tasks).toHaveTextContent("After extract");
  expect(tasks).toHaveTextContent("Tried again 3 times");
  expect(tasks).toHaveTextContent("Takes 2 of the rate limit mail");
  expect(tasks).toHaveTextContent("Waits for the event go");
  expect(await screen.findByRole("region", { name: "Graph" })).toBeInTheDocument();
  const recent = screen.getByRole("region", { name: "Recent runs" });
  expect(within(recent).getByRole("link", { name: "etl-1738314900123" })).toBeInTheDocument();
});

test("two versions are compared, and the address says which", async () => {
  withWorkflow();
  const { user, router } = renderApp(`/workflows/${WORKFLOW_ID}`);
  await user.selectOptions(await screen.findByLabelText("Compared with"), OLD);
  const difference = await screen.findByRole("region", { name: "Difference" });
  expect(await within(difference).findByText(/What version 2 changed since 1/)).toBeInTheDocument();
  expect(await within(difference).findByText(/"load"/)).toBeInTheDocument();
  expect(router.state.location.search).toEqual({ against: OLD });
});

test("a paused workflow says who paused it, and what becomes of its ticks and schedules", async () => {
  withWorkflow(true);
  renderApp(`/workflows/${WORKFLOW_ID}`);
  expect(await screen.findByText(/It is paused by ann@example.com since/)).toBeInTheDocument();
  expect(screen.getByText(/Ticks of its crons are dropped; scheduled runs that come due make runs that wait/)).toBeInTheDocument();
});

test("a workflow is paused with its choices, and a wrong duration is blamed at its field", async () => {
  withWorkflow();
  const asked: unknown[] = [];
  engine.use(
    onGet(`/api/v1/tenants/${TENANT_ID}/workflows/crons`, { rows: [], pagination: {} }),
    onGet(`/api/v1/tenants/${TENANT_ID}/workflows/scheduled`, { rows: [], pagination: {} }),
    onPatch(`/api/v1/workflows/${WORKFLOW_ID}`, (body) => {
      asked.push(body);
      return asked.length > 1
        ? {}
        : new Response(JSON.stringify({ errors: [{ description: "is not a duration", field: "pause.pausedWorkflowQueueTTL" }] }), { status: 400 });
    }),
  );
  const { user } = renderApp(`/workflows/${WORKFLOW_ID}`);
  await user.click(await screen.findByRole("button", { name: "Pause" }));
  expect(await screen.findByText(/It has 0 crons and 0 scheduled runs/)).toBeInTheDocument();
  await user.selectOptions(screen.getByLabelText("A cron's tick meanwhile"), "QUEUE");
  await user.click(screen.getByRole("button", { name: "Pause it" }));
  const ttl = screen.getByLabelText("Waiting runs are cancelled after");
  await waitFor(() => expect(ttl).toHaveAccessibleDescription(/is not a duration/));
  await user.clear(ttl);
  await user.type(ttl, "2h");
  await user.click(screen.getByRole("button", { name: "Pause it" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  expect(asked.at(-1)).toEqual({
    pause: {
      action: "pause",
      pausedWorkflowCronRunQueueBehavior: "QUEUE",
      pausedWorkflowScheduledRunQueueBehavior: "QUEUE",
      pausedWorkflowQueueTTL: "2h",
    },
  });
});

test("deleting says how many crons and scheduled runs go with it", async () => {
  withWorkflow();
  let deleted = false;
  const page = (rows: readonly unknown[]) => ({ rows, pagination: {} });
  const given = { workflowId: WORKFLOW_ID, workflowName: "etl", input: {}, additionalMetadata: {}, priority: 1, method: "API" };
  engine.use(
    onGet(`/api/v1/tenants/${TENANT_ID}/workflows/crons`, page([{ metadata: meta("c"), cron: "@daily", enabled: true, name: "n", ...given }])),
    onGet(`/api/v1/tenants/${TENANT_ID}/workflows/scheduled`, page([])),
    onDelete(`/api/v1/workflows/${WORKFLOW_ID}`, () => {
      deleted = true;
      return {};
    }),
  );
  const { user } = renderApp(`/workflows/${WORKFLOW_ID}`);
  await user.click(await screen.findByRole("button", { name: "Delete" }));
  expect(await screen.findByText("Deleted with it: 1 cron and 0 scheduled runs.")).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Delete it" }));
  await waitFor(() => expect(deleted).toBe(true));
});

test("durations are those of completed runs, in buckets as wide as the time asks for", () => {
  const at = Date.UTC(2025, 0, 31, 9);
  const run = (offsetMs: number, duration: number, status: "COMPLETED" | "FAILED" = "COMPLETED") =>
    aTask({ status, startedAt: at + offsetMs, duration });
  const { points, widthMs } = durationsOf([run(0, 100), run(10_000, 300), run(20_000, 200), run(130_000, 50), run(0, 9_999, "FAILED")]);
  expect(widthMs).toBe(60_000);
  expect(points.map((point) => point.values)).toEqual([
    { median: 200, longest: 300 },
    { median: null, longest: null },
    { median: 50, longest: 50 },
  ]);
  expect(durationsOf([]).points).toEqual([]);
});

test("a difference shows a few lines round it and leaves out the rest", () => {
  const lines = Array.from({ length: 20 }, (_, index) => `line ${index}`);
  const shown = linesOf(lines.join("\n"), lines.with(10, "other").join("\n"));
  expect(shown.map((line) => (line === null ? "…" : `${line.kind} ${line.text}`))).toEqual([
    "…",
    "same line 7",
    "same line 8",
    "same line 9",
    "removed line 10",
    "added other",
    "same line 11",
    "same line 12",
    "same line 13",
    "…",
  ]);
  expect(linesOf("a", "a")).toEqual([]);
});
