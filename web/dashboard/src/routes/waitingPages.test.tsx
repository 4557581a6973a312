/** Why a task does not run, sending what it waits for, time to come, and who holds what: over an engine on the network level. */
import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { tellChanges } from "../test/changes";
import { engine, onGet, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { RUN_ID, runRow, taskRow, TENANT_ID, WORKER_ID, WORKFLOW_ID } from "../test/wire";

withEngine();

const STEP_ID = "5d1f6f3a-0000-4000-8000-0000000000ac";
const AT = "2025-01-31T09:15:00.123456Z";
const STABLE = `/api/v1/stable/tenants/${TENANT_ID}`;
const page = (rows: readonly unknown[], next: string | null = null) => ({ rows, pagination: { next_cursor: next } });

function withRun(status: string): void {
  const own = { status, taskExternalId: RUN_ID, stepId: STEP_ID, displayName: "greet-1", startedAt: null, finishedAt: null, duration: null, output: {} };
  engine.use(
    onGet(`/api/v1/stable/workflow-runs/${RUN_ID}`, {
      run: { ...runRow(), status, displayName: "greet-1" },
      taskEvents: [],
      shape: [{ taskExternalId: RUN_ID, stepId: STEP_ID, childrenStepIds: [], taskName: "greet" }],
      tasks: [taskRow(own)],
      workflowConfig: {},
    }),
  );
}

const SLOT = {
  runId: RUN_ID,
  taskId: RUN_ID,
  taskName: "greet",
  status: "QUEUED",
  reason: "SLOT",
  message: "All 40 slots of orders-1 and orders-2 are in use; 12th in line",
  placeInLine: 12,
  expiresAt: AT,
  workers: [{ id: WORKER_ID, name: "orders-1" }],
};

test("a task that waits says why, and leads to what holds it", async () => {
  withRun("QUEUED");
  engine.use(onGet(`/api/v1/stable/tasks/${RUN_ID}/waiting`, { rows: [SLOT] }));
  renderApp(`/runs/${RUN_ID}`);
  const why = await screen.findByRole("region", { name: "Why it does not run" });
  expect(why).toHaveTextContent("All 40 slots of orders-1 and orders-2 are in use; 12th in line.");
  expect(within(why).getByRole("link", { name: "orders-1" })).toHaveAttribute("href", `/workers/${WORKER_ID}`);
  expect(why).toHaveTextContent("it is given up at");
});

test("the reason is asked for again when something changes, and when time alone has changed it", async () => {
  withRun("QUEUED");
  let asked = 0;
  engine.use(
    onGet(`/api/v1/stable/tasks/${RUN_ID}/waiting`, () => {
      asked += 1;
      const until = asked === 2 ? new Date(Date.now() + 100).toISOString() : undefined;
      return { rows: [{ ...SLOT, reason: "RATE_LIMIT", message: `Answer ${asked}`, until }] };
    }),
  );
  renderApp(`/runs/${RUN_ID}`);
  expect(await screen.findByText("Answer 1.")).toBeInTheDocument();
  tellChanges({ kinds: ["workers"] });
  // Nobody tells of the third: the second has said until when it is true.
  expect(await screen.findByText("Answer 3.")).toBeInTheDocument();
  expect(asked).toBe(3);
});

test.each([
  [{ reason: "KEY", key: "acme", holders: [{ runId: "r1", runName: "greet-1", since: AT, isRunning: true }] }, "greet-1", "/runs/r1"],
  [{ reason: "KEY", key: "acme" }, "Everybody under this key", "/concurrency?search=acme"],
  [{ reason: "RATE_LIMIT", key: "mail" }, "The rate limit", "/rate-limits?search=mail"],
  [{ reason: "PAUSED", workflowId: WORKFLOW_ID, workflowName: "orders" }, "orders", `/workflows/${WORKFLOW_ID}`],
  [{ reason: "NO_WORKER" }, "All workers", "/workers"],
  [{ reason: "PARENTS", parents: [{ name: "fetch", taskId: "t1" }] }, "fetch", `/runs/${RUN_ID}?task=t1`],
  [{ reason: "CHILDREN", children: [{ runId: "r2", workflowName: "kid" }] }, "kid r2", "/runs/r2"],
])("a reason leads where it points: %o", async (fields, name, href) => {
  withRun("QUEUED");
  engine.use(onGet(`/api/v1/stable/tasks/${RUN_ID}/waiting`, { rows: [{ runId: RUN_ID, message: "Why", ...fields }] }));
  renderApp(`/runs/${RUN_ID}`);
  const why = await screen.findByRole("region", { name: "Why it does not run" });
  expect(within(why).getByRole("link", { name })).toHaveAttribute("href", href);
});

test("a finished task is not asked why, and a refusal is shown", async () => {
  let asked = 0;
  withRun("COMPLETED");
  engine.use(
    onGet(`/api/v1/stable/tasks/${RUN_ID}/waiting`, () => {
      asked += 1;
      return refusal(503, "the tenant is being loaded");
    }),
  );
  const first = renderApp(`/runs/${RUN_ID}`);
  await screen.findByTestId("task-panel");
  expect(asked).toBe(0);
  withRun("QUEUED");
  await first.queryClient.invalidateQueries({ queryKey: ["run"] });
  await first.queryClient.invalidateQueries({ queryKey: ["runs"] });
  expect(await screen.findByText(/Why it does not run could not be asked: the tenant is being loaded/)).toBeInTheDocument();
});

test("the event that a task waits for is sent filled in, with the engine's word on the payload", async () => {
  withRun("RUNNING");
  const pushed: unknown[] = [];
  let isOver = false;
  engine.use(
    onGet(`/api/v1/stable/tasks/${RUN_ID}/waiting`, () => ({
      rows: isOver
        ? []
        : [
            {
              runId: RUN_ID,
              taskId: RUN_ID,
              reason: "CONDITION",
              message: "Waits for the event 'refund:approved' where input.amount > 4",
              waits: [
                {
                  conditions: [
                    { group: 0, isMet: false, eventKey: "refund:approved", scope: "o-1", expression: "input.amount > 4", payload: '{"amount":5}' },
                    { group: 0, isMet: false, until: AT },
                  ],
                },
              ],
            },
          ],
    })),
    onPost(`${STABLE}/cel/debug`, (body) => ({ status: "SUCCESS", output: (body as { input: { amount: number } }).input.amount > 4 })),
    onPost(`/api/v1/tenants/${TENANT_ID}/events`, (body) => {
      pushed.push(body);
      isOver = true;
      return {
        metadata: { id: "e1", createdAt: AT, updatedAt: AT },
        key: "refund:approved",
        payload: {},
        additionalMetadata: {},
        seenAt: AT,
      };
    }),
  );
  const { user } = renderApp(`/runs/${RUN_ID}`);
  await user.click(await screen.findByRole("button", { name: "Send the event" }));
  const dialog = screen.getByRole("dialog");
  expect(within(dialog).getByLabelText("Key")).toHaveValue("refund:approved");
  expect(within(dialog).getByLabelText("Scope")).toHaveValue("o-1");
  expect(await within(dialog).findByText(/It is true of this payload/)).toBeInTheDocument();
  const payload = within(dialog).getByLabelText("Payload");
  await user.clear(payload);
  await user.type(payload, '{{"amount": 1}');
  expect(await within(dialog).findByText(/It is not true of this payload/)).toBeInTheDocument();
  await user.clear(payload);
  await user.type(payload, '{{"amount": 9}');
  expect(await within(dialog).findByText(/It is true of this payload/)).toBeInTheDocument();
  await user.click(within(dialog).getByRole("button", { name: "Send" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  expect(pushed).toEqual([{ key: "refund:approved", data: { amount: 9 }, scope: "o-1", additionalMetadata: {} }]);
  await waitFor(() => expect(screen.queryByRole("region", { name: "Why it does not run" })).not.toBeInTheDocument());
});

test("an event that would end the task says so before it is sent", async () => {
  withRun("QUEUED");
  const event = (eventKey: string) => [{ group: 0, isMet: false, eventKey, payload: "{}" }];
  const waits = [
    { action: "QUEUE", conditions: event("go") },
    { action: "CANCEL", conditions: event("stop") },
  ];
  engine.use(onGet(`/api/v1/stable/tasks/${RUN_ID}/waiting`, { rows: [{ runId: RUN_ID, reason: "CONDITION", message: "Waits", waits }] }));
  const { user } = renderApp(`/runs/${RUN_ID}`);
  await user.click(await screen.findByRole("button", { name: "Send stop" }));
  expect(screen.getByText("By this event the task is cancelled.")).toBeInTheDocument();
  expect(screen.getByText(/Any payload will do/)).toBeInTheDocument();
  await user.click(screen.getByText("Close"));
  await user.click(screen.getByRole("button", { name: "Send go" }));
  expect(screen.queryByText(/By this event/)).not.toBeInTheDocument();
});

test("time to come is shown in order with its links, and filtered by kind in the address", async () => {
  const asked: (readonly string[])[] = [];
  const rows = [
    { at: "2999-01-01T00:00:00Z", kind: "CRON", cronId: "c1", key: "*/5 * * * *", workflowId: WORKFLOW_ID, workflowName: "etl", count: 1 },
    { at: "2999-01-01T00:01:00Z", kind: "SLEEP", runId: RUN_ID, runName: "etl-1", taskId: RUN_ID, taskName: "nap", workflowId: WORKFLOW_ID, workflowName: "etl", count: 1 },
    { at: "2999-01-01T00:02:00Z", kind: "RATE_LIMIT", key: "mail", workflowId: WORKFLOW_ID, workflowName: "etl", count: 7 },
  ];
  engine.use(
    onGet(`${STABLE}/upcoming`, (request: Request) => {
      const kinds = new URL(request.url).searchParams.getAll("kinds");
      asked.push(kinds);
      return page(rows.filter((row) => kinds.length === 0 || kinds.includes(row.kind)));
    }),
  );
  const { user, router } = renderApp("/upcoming");
  const table = await screen.findByRole("table", { name: "Time to come" });
  expect(within(table).getAllByRole("row")).toHaveLength(4);
  expect(within(table).getByRole("link", { name: "*/5 * * * *" })).toHaveAttribute("href", `/crons?workflow=${WORKFLOW_ID}`);
  expect(within(table).getByRole("link", { name: "etl-1, nap" })).toHaveAttribute("href", `/runs/${RUN_ID}?task=${RUN_ID}`);
  expect(table).toHaveTextContent("mail, 7 tasks waiting");
  await user.click(screen.getByRole("button", { name: "Retries" }));
  expect(await screen.findByText("Nothing of that kind is planned")).toBeInTheDocument();
  expect(router.state.location.search).toEqual({ kind: "RETRY" });
  expect(asked.at(-1)).toEqual(["RETRY"]);
  await user.click(screen.getByRole("button", { name: "Show everything" }));
  expect(await screen.findByRole("table", { name: "Time to come" })).toBeInTheDocument();
});

test("concurrency keys tell holders and waiters, are searched, and queues stand beside them", async () => {
  const holder = (name: string) => ({ runId: `run-${name}`, runName: name, since: AT, isRunning: true });
  const key = {
    key: "acme",
    expression: "input.customer",
    strategy: "GROUP_ROUND_ROBIN",
    maxRuns: 1,
    isTenantScoped: false,
    workflowId: WORKFLOW_ID,
    workflowName: "etl",
    taskName: "load",
    held: 1,
    waiting: 12,
    holders: [holder("etl-1")],
    waiters: [holder("etl-2")],
  };
  const asked: string[] = [];
  engine.use(
    onGet(`${STABLE}/concurrency-keys`, (request: Request) => {
      const search = new URL(request.url).searchParams.get("search") ?? "";
      asked.push(search);
      return page(search === "" || "acme".includes(search) ? [key] : []);
    }),
    onGet(`${STABLE}/queues`, {
      rows: [
        { actionId: "etl:load", waiting: 3, oldest: AT, workers: 2, workersReady: 1 },
        { actionId: "gpu:inference", waiting: 1, workers: 0, workersReady: 0 },
      ],
    }),
  );
  const { user } = renderApp("/concurrency");
  const table = await screen.findByRole("table", { name: "Concurrency keys" });
  expect(table).toHaveTextContent("etl, task load");
  expect(table).toHaveTextContent("group round robin");
  expect(within(table).getByRole("link", { name: "etl-1" })).toHaveAttribute("href", "/runs/run-etl-1");
  expect(table).toHaveTextContent("and 11 more");
  const queues = screen.getByRole("table", { name: "Queues" });
  expect(queues).toHaveTextContent("1 of 2 ready");
  expect(queues).toHaveTextContent("none offers it");
  await user.type(screen.getByLabelText("Find by key"), "zenith");
  expect(await screen.findByText("No key in use matches")).toBeInTheDocument();
  expect(asked.at(-1)).toBe("zenith");
});
