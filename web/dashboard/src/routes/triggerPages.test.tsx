/** Crons and scheduled runs: what is computed while one types, and many rows at once. */
import { screen, waitFor, within } from "@testing-library/react";
import { http, HttpResponse } from "msw";
import { expect, onTestFinished, test, vi } from "vitest";

import { engine, onDelete, onGet, onPatch, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { TENANT_ID, WORKFLOW_ID } from "../test/wire";

withEngine();

const CREATED_AT = "2025-01-31T09:15:00.123456Z";
const meta = (id: string) => ({ id, createdAt: CREATED_AT, updatedAt: CREATED_AT });
const page = (rows: readonly unknown[]) => ({ rows, pagination: { next_cursor: null } });
const CRONS = `/api/v1/tenants/${TENANT_ID}/workflows/crons`;
const SCHEDULED = `/api/v1/tenants/${TENANT_ID}/workflows/scheduled`;
const GIVEN = { workflowId: WORKFLOW_ID, workflowName: "etl", input: { n: 1 }, additionalMetadata: {}, priority: 1 };
const cron = (id: string, changes = {}) => ({
  metadata: meta(id),
  cron: "0 9 * * *",
  enabled: true,
  method: "API",
  name: id,
  ...GIVEN,
  ...changes,
});

function withTicks(): void {
  engine.use(
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/cron-ticks`, (request: Request) => {
      const asked = new URL(request.url).searchParams.getAll("expression");
      if (asked.includes("61 * * * *")) return refusal(400, "minute 61 is not between 0 and 59");
      return { rows: asked.map((expression) => ({ expression, timeZone: "Asia/Tokyo", ticks: ["2999-01-01T00:00:00Z"] })) };
    }),
    onGet(`/api/v1/workflows/${WORKFLOW_ID}/versions`, {
      metadata: meta("v1"),
      version: "v1",
      order: 1,
      workflowId: WORKFLOW_ID,
      triggers: { events: [], crons: [] },
      defaultPriority: 1,
      scheduleTimeout: "5m0s",
      v1Concurrency: [],
      workflowConfig: {},
    }),
  );
}

test("a cron's next run is in the list, and editing it shows ticks or what is wrong while one types", async () => {
  withTicks();
  const changes: unknown[] = [];
  engine.use(
    onGet(CRONS, page([cron("nightly"), cron("off", { enabled: false }), cron("declared", { method: "DEFAULT", name: null })])),
    onPatch(`${CRONS}/nightly`, (body) => {
      changes.push(body);
      return new Response(null, { status: 204 });
    }),
  );
  const { user } = renderApp("/crons");
  expect((await screen.findAllByText(/2999/)).length).toBe(2);
  await user.click(screen.getByRole("button", { name: "More for 0 9 * * *" }));
  expect(screen.getAllByRole("menuitem").map((item) => item.textContent)).toEqual(["Backfill…", "Delete…"]);
  await user.keyboard("{Escape}");
  await user.click(screen.getByRole("button", { name: "More for nightly" }));
  await user.click(screen.getByRole("menuitem", { name: "Edit…" }));
  const dialog = await screen.findByRole("dialog", { name: "Edit nightly" });
  const expression = within(dialog).getByLabelText("Expression");
  expect(within(await within(dialog).findByRole("table", { name: "Next ticks" })).getByText(/9:00:00/)).toBeInTheDocument();
  await user.clear(expression);
  await user.type(expression, "61 * * * *");
  expect(await within(dialog).findByText("minute 61 is not between 0 and 59")).toBeInTheDocument();
  await user.clear(expression);
  await user.type(expression, "@daily");
  await user.click(within(dialog).getByRole("button", { name: "Save" }));
  await waitFor(() =>
    expect(changes).toEqual([
      { cronName: "nightly", cronExpression: "@daily", input: { n: 1 }, additionalMetadata: {}, priority: null },
    ]),
  );
});

test("chosen crons are paused and deleted together, after saying how many", async () => {
  withTicks();
  const did: string[] = [];
  engine.use(
    onGet(CRONS, page([cron("one"), cron("two"), cron("three")])),
    ...["one", "two"].flatMap((id) => [
      onPatch(`${CRONS}/${id}`, (body) => {
        did.push(`${id} ${JSON.stringify(body)}`);
        return new Response(null, { status: 204 });
      }),
      onDelete(`${CRONS}/${id}`, () => {
        did.push(`delete ${id}`);
        return {};
      }),
    ]),
  );
  const { user } = renderApp("/crons");
  await user.click(await screen.findByRole("checkbox", { name: "Choose one" }));
  await user.click(screen.getByRole("checkbox", { name: "Choose two" }));
  await user.click(within(screen.getByRole("group", { name: "With the chosen rows" })).getByRole("button", { name: "Pause the chosen crons" }));
  await user.click(await screen.findByRole("button", { name: "Pause 2" }));
  await waitFor(() => expect(did).toEqual(['one {"enabled":false}', 'two {"enabled":false}']));
  await waitFor(() => expect(screen.queryByRole("group", { name: "With the chosen rows" })).not.toBeInTheDocument());
  await user.click(screen.getByRole("checkbox", { name: "Choose one" }));
  await user.click(screen.getByRole("checkbox", { name: "Choose two" }));
  await user.click(screen.getByRole("button", { name: "Delete the chosen crons" }));
  await user.click(await screen.findByRole("button", { name: "Delete 2" }));
  await waitFor(() => expect(did.slice(2)).toEqual(["delete one", "delete two"]));
});

test("a cron is backfilled over a past time, after saying how many runs that makes or why it cannot be", async () => {
  withTicks();
  const path = `/api/v1/stable/tenants/${TENANT_ID}/crons/nightly/backfill`;
  const bodies: string[] = [];
  const found = { count: 2, countMax: 1000, isTooMany: false, first: "2025-01-01T09:00:00Z", last: "2025-01-02T09:00:00Z" };
  engine.use(
    onGet(CRONS, page([cron("nightly")])),
    onGet(path, (request: Request) => {
      const since = new URL(request.url).searchParams.get("since") ?? "";
      if (since.startsWith("2999")) return refusal(400, "the range ends before it begins", "until");
      if (since.startsWith("1999")) return { ...found, count: 1000, isTooMany: true };
      return since.startsWith("2024") ? { ...found, count: 0, first: null, last: null } : found;
    }),
    onPost(path, (body) => {
      bodies.push(JSON.stringify(body));
      return { backfillId: "b1", made: 1, skipped: 1 };
    }),
  );
  const { user } = renderApp("/crons");
  await user.click(await screen.findByRole("button", { name: "More for nightly" }));
  await user.click(screen.getByRole("menuitem", { name: "Backfill…" }));
  const dialog = await screen.findByRole("dialog", { name: "Backfill nightly" });
  const from = within(dialog).getByLabelText("From");
  const say = async (text: string) => {
    await user.clear(from);
    await user.type(from, text);
  };
  await say("1999-01-01T00:00");
  expect(await within(dialog).findByText(/More than 1000 ticks. Make them in parts/)).toBeInTheDocument();
  expect(within(dialog).getByRole("button", { name: "Make the runs" })).toBeDisabled();
  await say("2024-01-01T00:00");
  expect(await within(dialog).findByText("The cron has no tick in this time.")).toBeInTheDocument();
  await say("2999-01-01T00:00");
  expect(await within(dialog).findByText("the range ends before it begins")).toBeInTheDocument();
  expect(within(dialog).getByLabelText("To")).toBeInvalid();
  await say("2025-01-01T00:00");
  await user.click(await within(dialog).findByRole("button", { name: "Make 2 runs" }));
  const done = await screen.findByRole("dialog", { name: "1 run made" });
  expect(within(done).getByText(/1 tick has no run/)).toBeInTheDocument();
  const link = within(done).getByRole("link", { name: "Show the runs of this backfill" });
  expect(decodeURIComponent(link.getAttribute("href") ?? "")).toContain("broadaxe__backfill_id:b1");
  expect(bodies).toHaveLength(1);
  expect(bodies[0]).toMatch(/^{"since":"20(24-12-31|25-01-01)T[^"]*Z","until":"[^"]*Z"}$/);
});

test("all scheduled runs that are shown are moved in one request", async () => {
  let asked: unknown;
  const schedule = (id: string) => ({ metadata: meta(id), triggerAt: "2999-01-01T00:00:00Z", method: "API", ...GIVEN });
  engine.use(
    onGet(SCHEDULED, page([schedule("s1"), schedule("s2")])),
    onPost(`${SCHEDULED}/bulk-update`, (body) => {
      asked = body;
      return { updatedIds: ["s1", "s2"], errors: [] };
    }),
  );
  const { user } = renderApp("/scheduled");
  await user.click(await screen.findByRole("checkbox", { name: "Choose all that are shown" }));
  await user.click(screen.getByRole("button", { name: "Move…" }));
  await user.type(await screen.findByLabelText("New time"), "2999-02-01T10:00");
  await user.click(screen.getByRole("button", { name: "Move it" }));
  const triggerAt = new Date("2999-02-01T10:00").toISOString();
  await waitFor(() => expect(asked).toEqual({ updates: [{ id: "s1", triggerAt }, { id: "s2", triggerAt }] }));
});

const event = (id: string, key: string) => ({
  metadata: meta(id),
  key,
  payload: { id },
  additionalMetadata: { customer: "acme" },
  scope: "eu",
  seenAt: CREATED_AT,
  triggeredRuns: [],
});

test("who comes back to the events minutes later, while the engine is away, still sees them", async () => {
  const path = `/api/v1/stable/tenants/${TENANT_ID}/events`;
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  engine.use(onGet(path, page([event("e1", "order:paid")])));
  const { user } = renderApp("/events");
  expect(await screen.findByText("order:paid")).toBeInTheDocument();
  engine.use(onGet(path, () => refusal(503, "the engine is away")));
  vi.setSystemTime(Date.now() + 120_000);
  await user.click(screen.getByRole("link", { name: "Crons" }));
  expect(await screen.findByRole("heading", { name: "Crons", level: 1 })).toBeInTheDocument();
  await user.click(screen.getByRole("link", { name: "Events" }));
  expect(await screen.findByText(/the engine is away/)).toBeInTheDocument();
  expect(screen.getByText("order:paid")).toBeInTheDocument();
});

test("chosen events are pushed again as they were, after saying how many", async () => {
  const pushed: unknown[] = [];
  engine.use(
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/events`, page([event("e1", "order:paid"), event("e2", "order:sent")])),
    onPost(`/api/v1/tenants/${TENANT_ID}/events`, (body) => {
      pushed.push(body);
      return event("e3", "order:paid");
    }),
  );
  const { user } = renderApp("/events");
  await user.click(await screen.findByRole("checkbox", { name: "Choose all that are shown" }));
  await user.click(screen.getByRole("button", { name: "Push the chosen events again" }));
  await user.click(await screen.findByRole("button", { name: "Push 2" }));
  await waitFor(() => expect(pushed).toHaveLength(2));
  expect(pushed[1]).toEqual({ key: "order:sent", data: { id: "e2" }, scope: "eu", additionalMetadata: { customer: "acme" } });
});

test("a rate limit is changed, and a webhook's expressions too; a refusal stands at its field", async () => {
  const asked: unknown[] = [];
  const WEBHOOK = { metadata: meta("w"), name: "gh", sourceName: "GITHUB", eventKeyExpression: "'a'", authType: "HMAC" };
  engine.use(
    onGet(`/api/v1/tenants/${TENANT_ID}/rate-limits`, page([{ key: "mail", limitValue: 10, value: 4, window: "1m0s", lastRefill: CREATED_AT }])),
    http.put(`/api/v1/stable/tenants/${TENANT_ID}/rate-limits`, async ({ request }) => {
      asked.push(await request.json());
      return new HttpResponse(null, { status: 204 });
    }),
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/webhooks`, page([WEBHOOK])),
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/webhook-failures`, page([])),
    onPatch(`/api/v1/stable/tenants/${TENANT_ID}/webhooks/gh`, (body) => {
      asked.push(body);
      return HttpResponse.json({ errors: [{ description: "no such variable: inptu", field: "scopeExpression" }] }, { status: 400 });
    }),
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/rate-limit-users`, {
      rows: [{ workflowId: "w1", workflowName: "letters", taskName: "send", units: 2 }],
    }),
  );
  const { user } = renderApp("/rate-limits");
  await user.click(await screen.findByRole("button", { name: "Used by: mail" }));
  const users = screen.getByRole("dialog", { name: "Tasks that use mail" });
  expect(await within(users).findByRole("listitem")).toHaveTextContent("letters, task send: 2 units a run");
  await user.click(screen.getByRole("button", { name: "Close" }));
  await user.click(screen.getByRole("button", { name: "Change mail" }));
  await user.clear(screen.getByLabelText("Units"));
  await user.type(screen.getByLabelText("Units"), "25");
  await user.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(asked).toEqual([{ key: "mail", limit: 25, window: "1m0s" }]));
  await user.click(screen.getByRole("link", { name: "Webhooks" }));
  await user.click(await screen.findByRole("button", { name: "Edit gh" }));
  await user.type(screen.getByLabelText("Scope"), "inptu.x");
  await user.click(screen.getByLabelText("Added to every payload"));
  await user.paste("[1]");
  await user.click(screen.getByRole("button", { name: "Save" }));
  expect(screen.getByLabelText("Added to every payload")).toHaveAccessibleDescription(/Give an object/);
  await user.clear(screen.getByLabelText("Added to every payload"));
  await user.paste('{"shop": "eu"}');
  await user.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(screen.getByLabelText("Scope")).toHaveAccessibleDescription(/no such variable: inptu/));
  expect(asked.at(-1)).toEqual({ eventKeyExpression: "'a'", scopeExpression: "inptu.x", staticPayload: { shop: "eu" } });
});
