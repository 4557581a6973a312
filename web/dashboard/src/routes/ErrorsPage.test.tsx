import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { engine, onGet, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { RUN_ID, TENANT_ID, WORKFLOW_ID } from "../test/wire";

withEngine();

const GROUPS = `/api/v1/stable/tenants/${TENANT_ID}/error-groups`;
const GROUP = {
  fingerprint: "00112233445566ff",
  exceptionType: "KeyError",
  message: "'gold'",
  file: "/app/orders/mails.py",
  line: 201,
  function: "send",
  code: 'return TEMPLATES[order["kind"]]',
  count: 450,
  firstSeenAt: "2025-01-31T09:15:00Z",
  lastSeenAt: "2025-01-31T10:15:00Z",
  exampleRunExternalId: RUN_ID,
  exampleTaskExternalId: RUN_ID,
  workflows: [{ workflowId: WORKFLOW_ID, name: "etl", count: 450 }],
  taskNames: ["load"],
};

test("an error says what and where it is, how often, and leads to a run and to the list", async () => {
  engine.use(onGet(GROUPS, { rows: [GROUP], tasksLookedAt: 5_000, oldestLookedAt: "2025-01-31T08:15:00Z" }));
  renderApp("/errors");
  const card = await screen.findByRole("region", { name: "KeyError" });
  expect(within(card).getByRole("heading")).toHaveTextContent("KeyError in orders/mails.py:201");
  expect(card).toHaveTextContent("'gold'");
  expect(within(card).getByText("450")).toBeInTheDocument();
  expect(within(card).getByRole("link", { name: "Latest run" })).toHaveAttribute("href", `/runs/${RUN_ID}`);
  expect(within(card).getByRole("link", { name: "etl (450)" })).toHaveAttribute("href", expect.stringMatching(/^\/runs\?workflow=.*status=/));
  expect(screen.getByText(/From 5,000 failed tasks. There may be more/)).toBeInTheDocument();
});

test("a group is replayed after saying how many, in batches by the ids of its tasks", async () => {
  const ids = Array.from({ length: 450 }, (_, at) => `0b1d2c3e-0000-4000-8000-${String(at).padStart(12, "0")}`);
  const sent: string[][] = [];
  let since: string | null = null;
  engine.use(
    onGet(GROUPS, { rows: [GROUP], tasksLookedAt: 450 }),
    onGet(`${GROUPS}/${GROUP.fingerprint}/tasks`, (request: Request) => {
      since = new URL(request.url).searchParams.get("since");
      return { rows: ids.map((taskExternalId) => ({ taskExternalId })) };
    }),
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/tasks/replay`, (body) => {
      const { externalIds } = body as { externalIds: string[] };
      sent.push(externalIds);
      return { ids: externalIds };
    }),
  );
  const { user } = renderApp("/errors?from=2025-01-31T09:00:00.000Z");
  await user.click(await screen.findByRole("button", { name: "Replay all of KeyError" }));
  expect(await screen.findByText(/450 tasks that failed with this error/)).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Replay 450" }));
  expect(await screen.findByText("450 tasks were replayed.")).toBeInTheDocument();
  expect(sent.map((batch) => batch.length)).toEqual([200, 200, 50]);
  expect(sent.flat()).toEqual(ids);
  expect(since).toBe("2025-01-31T09:00:00.000Z");
});

test("a refusal stays in the dialog, and nothing is said to be done", async () => {
  engine.use(
    onGet(GROUPS, { rows: [GROUP], tasksLookedAt: 450 }),
    onGet(`${GROUPS}/${GROUP.fingerprint}/tasks`, { rows: [{ taskExternalId: RUN_ID }] }),
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/tasks/replay`, () => refusal(401, "this needs the role MEMBER")),
  );
  const { user } = renderApp("/errors");
  await user.click(await screen.findByRole("button", { name: "Replay all of KeyError" }));
  await user.click(await screen.findByRole("button", { name: "Replay 450" }));
  expect(await within(screen.getByRole("dialog")).findByRole("alert")).toHaveTextContent(/role MEMBER/);
  expect(screen.queryByText(/were replayed/)).not.toBeInTheDocument();
});

test("where nothing stands failed, that is said, and all time can be looked through", async () => {
  engine.use(onGet(GROUPS, { rows: [], tasksLookedAt: 0 }));
  const { user, router } = renderApp("/errors");
  await user.click(await screen.findByRole("button", { name: "Look through all time" }));
  await waitFor(() => expect(router.state.location.search).toEqual({ window: "all" }));
  expect(await screen.findByRole("heading", { name: "Nothing stands failed at all" })).toBeInTheDocument();
});
