/** The daily work on each page of the console, above an engine on the network level. */
import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { engine, onDelete, onGet, onPatch, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { RUN_ID, runList, runRow, TENANT_ID, WORKER_ID, WORKERS, WORKFLOW_ID, WORKFLOWS } from "../test/wire";

withEngine();

const CREATED_AT = "2025-01-31T09:15:00.123456Z";
const meta = (id: string) => ({ id, createdAt: CREATED_AT, updatedAt: CREATED_AT });
const page = (rows: readonly unknown[], next: string | null = null) => ({ rows, pagination: { next_cursor: next } });

const SCHEMA = { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } }, required: ["name"] };
const WORKFLOW = { ...WORKFLOWS.rows[0], versions: [{ metadata: meta("5d1f6f3a-0000-4000-8000-0000000000ff"), version: "v1", order: 1 }] };
const VERSION = {
  metadata: meta("5d1f6f3a-0000-4000-8000-0000000000ff"),
  version: "v1",
  order: 1,
  workflowId: WORKFLOW_ID,
  triggers: { events: [{ parent_id: "x", event_key: "order:paid" }], crons: [] },
  defaultPriority: 1,
  scheduleTimeout: "5m0s",
  v1Concurrency: [{ maxRuns: 2, limitStrategy: "GROUP_ROUND_ROBIN", expression: "input.user", scope: "WORKFLOW" }],
  workflowConfig: { name: "etl" },
  inputJsonSchema: SCHEMA,
};

function withWorkflow(): void {
  engine.use(
    onGet(`/api/v1/workflows/${WORKFLOW_ID}`, WORKFLOW),
    onGet(`/api/v1/workflows/${WORKFLOW_ID}/versions`, VERSION),
  );
}

// Tokens -------------------------------------------------------------------------------------------------------------

const TOKENS = `/api/v1/tenants/${TENANT_ID}/api-tokens`;

test("a token is made, shown once with its environment, and revoked only after a question", async () => {
  const claims = btoa(JSON.stringify({ grpc_broadcast_address: "127.0.0.1:7077", server_url: "http://127.0.0.1:8080" }));
  let asked: unknown;
  let revoked = 0;
  engine.use(
    onGet(TOKENS, page([{ metadata: meta("t1"), name: "old", expiresAt: "2999-01-01T00:00:00Z", role: "ADMIN" }])),
    onPost(TOKENS, (body) => {
      asked = body;
      return { token: `ey.${claims}.sig` };
    }),
    onPost("/api/v1/api-tokens/t1", () => {
      revoked += 1;
      return new Response(null, { status: 204 });
    }),
  );
  const { user } = renderApp("/settings/tokens");
  await user.click(await screen.findByRole("button", { name: "Create a token" }));
  await user.click(screen.getByRole("button", { name: "Create" }));
  expect(screen.getByText("Give it a name.")).toBeInTheDocument();
  await user.type(screen.getByLabelText("Name"), "workers");
  await user.click(screen.getByRole("button", { name: "Create" }));
  const environment = await screen.findByRole("region", { name: "Environment" });
  expect(environment).toHaveTextContent(`HATCHET_CLIENT_TOKEN=ey.${claims}.sig`);
  expect(environment).toHaveTextContent("HATCHET_CLIENT_HOST_PORT=127.0.0.1:7077");
  expect(asked).toEqual({ name: "workers", expiresIn: "2160h", role: "ADMIN" });
  await user.click(screen.getByRole("button", { name: "Done" }));

  await user.click(screen.getByRole("button", { name: "Revoke old" }));
  expect(revoked).toBe(0);
  await user.click(screen.getByRole("button", { name: "Revoke it" }));
  await waitFor(() => expect(revoked).toBe(1));
});

// Workflows ----------------------------------------------------------------------------------------------------------

test("a workflow shows its definition, and is run with an input that its schema allows", async () => {
  withWorkflow();
  let asked: unknown;
  engine.use(
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/workflow-runs/trigger`, (body) => {
      asked = body;
      return { run: { metadata: meta(RUN_ID) } };
    }),
  );
  const { user, router } = renderApp(`/workflows/${WORKFLOW_ID}`);
  expect(await screen.findByText("order:paid")).toBeInTheDocument();
  expect(screen.getByText(/2 at a time for each/)).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Run" }));
  const dialog = await screen.findByRole("dialog");
  const name = await within(dialog).findByLabelText(/^name/);
  await user.click(within(dialog).getByRole("button", { name: "Run" }));
  expect(name).toHaveAccessibleDescription("Is missing.");
  await waitFor(() => expect(name).toHaveFocus());
  expect(asked).toBeUndefined();
  await user.type(name, "Ada");
  await user.click(within(dialog).getByRole("button", { name: "Run" }));
  await waitFor(() => expect(router.state.location.pathname).toBe(`/runs/${RUN_ID}`));
  expect(asked).toEqual({ workflowName: "etl", input: { name: "Ada" }, additionalMetadata: {} });
});

test("what the engine says about a run that it refuses is shown and nothing is lost", async () => {
  withWorkflow();
  engine.use(
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/workflow-runs/trigger`, () => refusal(429, "the tenant has used up its task runs")),
  );
  const { user } = renderApp(`/workflows/${WORKFLOW_ID}`);
  await user.click(await screen.findByRole("button", { name: "Run" }));
  const dialog = await screen.findByRole("dialog");
  await user.type(await within(dialog).findByLabelText(/^name/), "Ada");
  await user.click(within(dialog).getByRole("button", { name: "Run" }));
  expect(await within(dialog).findByRole("alert")).toHaveTextContent("used up its task runs");
  expect(within(dialog).getByLabelText(/^name/)).toHaveValue("Ada");
});

test("a paused workflow goes on, and deleting one is asked about", async () => {
  withWorkflow();
  const changes: unknown[] = [];
  engine.use(
    onPatch(`/api/v1/workflows/${WORKFLOW_ID}`, (body) => {
      changes.push(body);
      return WORKFLOW;
    }),
    onDelete(`/api/v1/workflows/${WORKFLOW_ID}`, () => {
      changes.push("deleted");
      return {};
    }),
  );
  const { user, router } = renderApp(`/workflows/${WORKFLOW_ID}`);
  await user.click(await screen.findByRole("button", { name: "Resume" }));
  await waitFor(() => expect(changes).toEqual([{ pause: { action: "unpause" } }]));
  await user.click(screen.getByRole("button", { name: "Delete" }));
  await user.click(screen.getByRole("button", { name: "Delete it" }));
  await waitFor(() => expect(router.state.location.pathname).toBe("/workflows"));
  expect(changes.at(-1)).toBe("deleted");
});

test("workflows are found by name, beyond the first page too", async () => {
  const asked: (string | null)[][] = [];
  engine.use(
    onGet(`/api/v1/tenants/${TENANT_ID}/workflows`, (request: Request) => {
      const params = new URL(request.url).searchParams;
      asked.push([params.get("name"), params.get("cursor")]);
      return params.get("cursor") === null
        ? page([WORKFLOWS.rows[0]], "more")
        : page([{ ...WORKFLOWS.rows[0], metadata: meta("5d1f6f3a-0000-4000-8000-0000000000bb"), name: "second" }]);
    }),
  );
  const { user, router } = renderApp("/workflows");
  await user.click(await screen.findByRole("button", { name: "Show more" }));
  expect(await screen.findByRole("link", { name: "second" })).toBeInTheDocument();
  expect(asked).toContainEqual([null, "more"]);
  await user.type(screen.getByRole("searchbox", { name: "Find by name" }), "sec");
  await waitFor(() => expect(asked).toContainEqual(["sec", null]));
  expect(router.state.location.search).toEqual({ search: "sec" });
});

// Runs ---------------------------------------------------------------------------------------------------------------

test("chosen runs are replayed by their ids", async () => {
  let asked: unknown;
  engine.use(
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/workflow-runs`, runList([runRow({ status: "FAILED" })])),
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/tasks/replay`, (body) => {
      asked = body;
      return { ids: [RUN_ID] };
    }),
  );
  const { user } = renderApp("/runs");
  await user.click(await screen.findByRole("checkbox", { name: "Choose etl-1738314900123" }));
  await user.click(screen.getByRole("button", { name: "Replay the chosen runs" }));
  await user.click(screen.getByRole("button", { name: "Replay 1" }));
  await waitFor(() => expect(asked).toEqual({ externalIds: [RUN_ID] }));
});

test("a status that stands alone in the address filters as a list of one does", async () => {
  const asked: string[][] = [];
  engine.use(
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/workflow-runs`, (request: Request) => {
      asked.push(new URL(request.url).searchParams.getAll("statuses"));
      return runList([runRow({ status: "FAILED" })]);
    }),
  );
  renderApp("/runs?status=FAILED");
  await screen.findByRole("link", { name: "etl-1738314900123" });
  expect(asked[0]).toEqual(["FAILED"]);
});

// Triggers -----------------------------------------------------------------------------------------------------------

const CRON = {
  metadata: meta("c1"),
  workflowId: WORKFLOW_ID,
  workflowName: "etl",
  cron: "0 9 * * *",
  enabled: true,
  method: "API",
  name: "nightly",
  input: {},
  additionalMetadata: {},
  priority: 1,
};

test("a cron is paused, run now, and one is created", async () => {
  withWorkflow();
  const did: unknown[] = [];
  const CRONS = `/api/v1/tenants/${TENANT_ID}/workflows/crons`;
  engine.use(
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/cron-ticks`, (request: Request) => ({
      rows: new URL(request.url).searchParams
        .getAll("expression")
        .map((expression) => ({ expression, timeZone: "UTC", ticks: ["2999-01-01T09:00:00Z"] })),
    })),
  );
  engine.use(
    onGet(CRONS, page([CRON])),
    onPatch(`${CRONS}/c1`, (body) => {
      did.push(body);
      return new Response(null, { status: 204 });
    }),
    onPost(`/api/v1/tenants/${TENANT_ID}/workflows/etl/crons`, (body) => {
      did.push(body);
      return CRON;
    }),
    onPost(`${CRONS}/c1`, () => ({ externalId: RUN_ID })),
  );
  const { user, router } = renderApp("/crons");
  await user.click(await screen.findByRole("button", { name: "Pause nightly" }));
  expect(await screen.findByRole("dialog", { name: "Pause the cron nightly?" })).toHaveTextContent("do not come, also not later");
  expect(did).toEqual([]);
  await user.click(screen.getByRole("button", { name: "Pause it" }));
  await waitFor(() => expect(did).toEqual([{ enabled: false }]));

  await user.click(screen.getByRole("button", { name: "Create a cron" }));
  await user.click(await screen.findByRole("button", { name: "etl" }));
  const dialog = await screen.findByRole("dialog");
  await user.type(await within(dialog).findByLabelText(/^name/), "Ada");
  await user.click(within(dialog).getByRole("button", { name: "Create cron" }));
  expect(within(dialog).getByText("Give the cron a name.")).toBeInTheDocument();
  await user.type(within(dialog).getByLabelText("Name of the cron"), "hourly");
  await user.type(within(dialog).getByLabelText("Expression"), "0 * * * *");
  await user.click(within(dialog).getByRole("button", { name: "Create cron" }));
  await waitFor(() => expect(did).toHaveLength(2));
  expect(did[1]).toMatchObject({ cronName: "hourly", cronExpression: "0 * * * *", input: { name: "Ada" } });

  await user.click(await screen.findByRole("button", { name: "Run now: nightly" }));
  await waitFor(() => expect(router.state.location.pathname).toBe(`/runs/${RUN_ID}`));
});

test("a scheduled run is moved and deleted", async () => {
  const did: unknown[] = [];
  const SCHEDULED = `/api/v1/tenants/${TENANT_ID}/workflows/scheduled`;
  const schedule = { ...CRON, metadata: meta("s1"), triggerAt: "2999-01-01T00:00:00Z" };
  engine.use(
    onGet(SCHEDULED, page([schedule])),
    onPatch(`${SCHEDULED}/s1`, (body) => {
      did.push(body);
      return schedule;
    }),
    onDelete(`${SCHEDULED}/s1`, () => {
      did.push("deleted");
      return {};
    }),
  );
  const { user } = renderApp("/scheduled");
  await user.click(await screen.findByRole("button", { name: "Move etl" }));
  await user.clear(screen.getByLabelText("New time"));
  await user.type(screen.getByLabelText("New time"), "2999-02-01T10:00");
  await user.click(screen.getByRole("button", { name: "Move it" }));
  await waitFor(() => expect(did).toEqual([{ triggerAt: new Date("2999-02-01T10:00").toISOString() }]));
  await user.click(await screen.findByRole("button", { name: "Delete the scheduled run of etl" }));
  await user.click(screen.getByRole("button", { name: "Delete it" }));
  await waitFor(() => expect(did.at(-1)).toBe("deleted"));
});

test("an event is pushed, and the page says which runs it started", async () => {
  let asked: unknown;
  const event = {
    metadata: meta("e1"),
    key: "order:paid",
    payload: { n: 1 },
    additionalMetadata: {},
    seenAt: CREATED_AT,
    triggeredRuns: [{ workflowRunId: RUN_ID }],
  };
  engine.use(
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/events`, page([event])),
    onPost(`/api/v1/tenants/${TENANT_ID}/events`, (body) => {
      asked = body;
      return event;
    }),
  );
  const { user } = renderApp("/events");
  await user.click(await screen.findByRole("button", { name: "Push again: order:paid" }));
  await user.click(screen.getByRole("button", { name: "Push" }));
  const dialog = await screen.findByRole("dialog", { name: "order:paid was pushed" });
  expect(within(dialog).getByRole("link", { name: "1 run" })).toHaveAttribute("href", `/runs/${RUN_ID}`);
  expect(asked).toEqual({ key: "order:paid", data: { n: 1 }, additionalMetadata: {} });
});

test("a filter is tried before it is saved", async () => {
  let saved: unknown;
  engine.use(
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/filters`, page([])),
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/cel/debug`, () => ({ status: "SUCCESS", output: true })),
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/filters`, (body) => {
      saved = body;
      return { metadata: meta("f1"), isDeclarative: false, ...(body as object) };
    }),
  );
  const { user } = renderApp("/filters");
  await screen.findByText("No filters");
  await user.click(screen.getByRole("button", { name: "Create a filter" }));
  await user.type(screen.getByLabelText("Scope"), "eu");
  await user.type(screen.getByLabelText("Expression"), "input.n > 1");
  await user.click(screen.getByRole("button", { name: "Try" }));
  expect(await screen.findByText("The event would start the workflow.")).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(saved).toEqual({ workflowId: WORKFLOW_ID, scope: "eu", expression: "input.n > 1", payload: {} }));
});

test("a webhook is made with the preset of its source, and refused requests say why", async () => {
  let asked: unknown;
  engine.use(
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/webhooks`, page([])),
    onGet(
      `/api/v1/stable/tenants/${TENANT_ID}/webhook-failures`,
      page([{ webhookName: "gh", reason: "PROOF", message: "the signature is wrong", at: CREATED_AT }]),
    ),
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/webhooks`, (body) => {
      asked = body;
      return { metadata: meta("w1"), ...(body as object) };
    }),
  );
  const { user } = renderApp("/webhooks");
  expect(await screen.findByText("the signature is wrong")).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Create a webhook" }));
  await user.type(screen.getByLabelText("Name"), "gh");
  await user.type(screen.getByLabelText("Secret"), "s3cret");
  await user.click(screen.getByRole("button", { name: "Create" }));
  expect(await screen.findByText(new RegExp(`/webhooks/gh$`))).toBeInTheDocument();
  expect(asked).toMatchObject({
    sourceName: "GITHUB",
    authType: "HMAC",
    auth: { signingSecret: "s3cret", signatureHeaderName: "X-Hub-Signature-256", algorithm: "SHA256", encoding: "HEX" },
  });
});

// What else there is to see ------------------------------------------------------------------------------------------

test("rate limits show what is left, and logs are searched and filtered by level", async () => {
  const asked: URLSearchParams[] = [];
  engine.use(
    onGet(
      `/api/v1/tenants/${TENANT_ID}/rate-limits`,
      page([{ key: "mail", limitValue: 100, value: 40, window: "MINUTE", lastRefill: CREATED_AT }]),
    ),
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/logs`, (request: Request) => {
      asked.push(new URL(request.url).searchParams);
      return page([
        { createdAt: CREATED_AT, message: "hello", metadata: {}, taskExternalId: RUN_ID, taskDisplayName: "extract", attempt: 1, level: "WARN" },
      ]);
    }),
  );
  const { user } = renderApp("/rate-limits");
  expect(await screen.findByText("40 of 100")).toBeInTheDocument();
  await user.click(screen.getByRole("link", { name: "Logs" }));
  expect(await screen.findByText("hello")).toBeInTheDocument();
  const levels = screen.getByRole("group", { name: "Filter by level" });
  await user.click(within(levels).getByRole("button", { name: "ERROR" }));
  await user.type(screen.getByRole("searchbox", { name: "Find in messages" }), "boom");
  await waitFor(() => expect(asked.at(-1)?.get("search")).toBe("boom"));
  expect(asked.at(-1)?.getAll("levels")).toEqual(["ERROR"]);
});

test("a worker shows all its actions, labels and what it runs", async () => {
  engine.use(
    onGet(`/api/v1/workers/${WORKER_ID}`, {
      ...WORKERS.rows[0],
      labels: [{ metadata: meta("l1"), key: "gpu", value: "yes" }],
      slots: [{ stepRunId: RUN_ID, actionId: "etl:load", workflowRunId: RUN_ID, startedAt: CREATED_AT }],
    }),
  );
  renderApp(`/workers/${WORKER_ID}`);
  expect(await screen.findByText("gpu=yes")).toBeInTheDocument();
  expect(screen.getByRole("link", { name: "etl:load" })).toHaveAttribute("href", `/runs/${RUN_ID}`);
  expect(screen.getByText("etl:extract")).toBeInTheDocument();
});
