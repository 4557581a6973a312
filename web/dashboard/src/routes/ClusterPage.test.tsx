/** The engines of the installation: what an operator sees and does, and what others are told. */
import { screen, within } from "@testing-library/react";
import { beforeEach, expect, test } from "vitest";

import { tellChanges } from "../test/changes";
import { engine, onDelete, onGet, onPut, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { META_WITH_LOGIN, USER } from "../test/wire";

withEngine();

const NODES = "/api/v1/cluster/nodes";
const AT = "2025-01-31T09:15:00.123456Z";

function node(id: string, address: string, changes: object = {}) {
  return { id, address, version: "1.4.2", startedAt: AT, renewedSecondsAgo: 0.4, tenants: 3, load: 0.256, isLost: false, ...changes };
}

const ONE = node("11111111-0000-4000-8000-000000000001", "one:7077");
const TWO = node("22222222-0000-4000-8000-000000000002", "two:7077", { drainingAt: AT, tenants: 0 });
const LOST = node("33333333-0000-4000-8000-000000000003", "three:7077", { isLost: true });

beforeEach(() => {
  engine.use(onGet("/api/v1/meta", META_WITH_LOGIN), onGet("/api/v1/users/current", USER));
});

test("nodes are listed with their state, and one is drained after a question", async () => {
  let first: object = ONE;
  const changed: string[] = [];
  engine.use(
    onGet(NODES, () => ({ rows: [first, TWO, LOST] })),
    onPut(`${NODES}/:node/drain`, (_, request: Request) => {
      changed.push(new URL(request.url).pathname);
      first = { ...ONE, drainingAt: AT };
      return { rows: [first] };
    }),
  );
  const { user } = renderApp("/settings/cluster");
  const row = (await screen.findByText("one:7077")).closest("tr");
  if (row === null) throw new Error("not in a row");
  expect(within(row).getByText("live")).toBeInTheDocument();
  expect(within(row).getByText("0.26")).toBeInTheDocument();
  expect(screen.getByText("drained")).toBeInTheDocument();
  expect(screen.getByText("lost")).toBeInTheDocument();
  expect(screen.queryByRole("button", { name: /three/ })).not.toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Drain: one:7077 11111111" }));
  expect(screen.getByText(/no other engine to take its tenants/)).toBeInTheDocument();
  expect(changed).toEqual([]);
  await user.click(screen.getByRole("button", { name: "Drain it" }));
  expect(await screen.findByText("draining")).toBeInTheDocument();
  expect(changed).toEqual([`${NODES}/${ONE.id}/drain`]);
});

test("an engine that comes is shown by itself, and runs of a tenant ask for nothing", async () => {
  let nodes = [ONE];
  let asked = 0;
  engine.use(
    onGet(NODES, () => {
      asked += 1;
      return { rows: nodes };
    }),
  );
  renderApp("/settings/cluster");
  await screen.findByText("one:7077");
  tellChanges({ kinds: [] });
  nodes = [ONE, TWO];
  tellChanges({ kinds: ["runs", "workers"] });
  expect(asked).toBe(1);
  tellChanges({ kinds: ["nodes"], ids: [] });
  expect(await screen.findByText("two:7077")).toBeInTheDocument();
  expect(asked).toBe(2);
});

test("a drain is taken back", async () => {
  const undone: string[] = [];
  engine.use(
    onGet(NODES, { rows: [ONE, TWO] }),
    onDelete(`${NODES}/:node/drain`, (_, request: Request) => {
      undone.push(new URL(request.url).pathname);
      return { rows: [] };
    }),
  );
  const { user } = renderApp("/settings/cluster");
  await user.click(await screen.findByRole("button", { name: "Own again: two:7077 22222222" }));
  await user.click(screen.getByRole("button", { name: "Let it own again" }));
  expect(await screen.findByText("drained")).toBeInTheDocument();
  expect(undone).toEqual([`${NODES}/${TWO.id}/drain`]);
});

test("who is no operator is told who makes one", async () => {
  engine.use(onGet(NODES, () => refusal(401, "this is for operators of the installation; broadaxe account operator ada@example.com")));
  renderApp("/settings/cluster");
  expect(await screen.findByText(/broadaxe account operator ada@example.com/)).toBeInTheDocument();
});

test("an engine whose tenants another one takes is drained without a warning", async () => {
  engine.use(onGet(NODES, { rows: [ONE, { ...TWO, drainingAt: undefined }] }));
  const { user } = renderApp("/settings/cluster");
  await screen.findByText("one:7077");
  await user.click(screen.getByRole("button", { name: "Drain: one:7077 11111111" }));
  expect(screen.getByText(/It hands its tenants .*over to the other engines/)).toBeInTheDocument();
});
