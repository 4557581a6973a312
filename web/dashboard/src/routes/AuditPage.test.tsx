/** The audit log: who did what is told, what changed, and the filters are in the address. */
import { screen, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { auditExport, changesOf } from "../services/audit";
import { engine, onGet, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { TENANT_ID } from "../test/wire";

withEngine();

const PATH = `/api/v1/tenants/${TENANT_ID}/audit`;
const AT = "2025-01-31T09:15:00.123456Z";
const entry = (changes: object) => ({
  id: "0190a2c3-0000-7000-8000-000000000001",
  at: AT,
  initiator: { kind: "ACCOUNT", id: "ann-id", name: "ann@example.com", address: "192.0.2.7" },
  action: "workflow.pause",
  object: { id: "flow-id", name: "billing" },
  chain: "TENANT",
  seq: 1,
  hash: "00",
  ...changes,
});

test("an entry says who did what, from where, and what changed", async () => {
  const asked: string[] = [];
  engine.use(
    onGet(PATH, (request: Request) => {
      asked.push(new URL(request.url).search);
      return {
        rows: [
          entry({ before: { version: 1, crons: "DROP" }, after: { version: 1, crons: "QUEUE" } }),
          entry({
            id: "0190a2c3-0000-7000-8000-000000000002",
            action: "account.log_in",
            initiator: { kind: "NOBODY", name: "bob@example.com" },
            object: {},
            refusal: "the password is wrong",
          }),
        ],
      };
    }),
  );
  const { user, router } = renderApp("/settings/audit");
  const table = await screen.findByRole("table", { name: "Audit log" });
  expect(within(table).getByText("workflow: pause")).toBeInTheDocument();
  expect(within(table).getByText("from 192.0.2.7")).toBeInTheDocument();
  expect(within(table).getByText("DROP → QUEUE")).toBeInTheDocument();
  expect(within(table).queryByText("version")).not.toBeInTheDocument();
  expect(within(table).getByText("Refused: the password is wrong")).toBeInTheDocument();

  await user.click(within(table).getByRole("button", { name: "ann@example.com" }));
  await user.selectOptions(screen.getByRole("combobox", { name: "Action" }), "workflow: pause");
  await user.click(screen.getByRole("checkbox", { name: "Only what was refused" }));
  expect(router.state.location.search).toEqual({ who: "ann-id", action: "workflow.pause", refused: true });
  await screen.findByRole("button", { name: "Show everybody’s" });
  expect(asked.at(-1)).toContain("action=workflow.pause&initiator=ann-id&refused=true");
  expect(screen.getByRole("link", { name: "Export as JSON Lines" })).toHaveAttribute(
    "href",
    `${PATH}/export?action=workflow.pause&initiator=ann-id&refused=true`,
  );
});

test("an empty log, a filter that finds nothing, and a refusal are told apart", async () => {
  engine.use(onGet(PATH, { rows: [] }));
  const { user, router } = renderApp("/settings/audit?action=cron.delete&refused=nonsense");
  await screen.findByText("Nothing like this was done");
  await user.click(screen.getByRole("button", { name: "Show everything" }));
  await screen.findByText("Nobody has changed anything yet");
  expect(router.state.location.search).toEqual({});
});

test("who may not read it is told so", async () => {
  engine.use(onGet(PATH, () => refusal(401, "this needs the role ADMIN in the tenant; yours is VIEWER")));
  renderApp("/settings/audit");
  expect(await screen.findByText(/this needs the role ADMIN/)).toBeInTheDocument();
});

test("of what was made or is gone all is shown, of what changed only that", () => {
  expect(changesOf({ before: null, after: { a: 1, is_new: true } })).toEqual([
    { name: "a", before: null, after: "1" },
    { name: "is new", before: null, after: "true" },
  ]);
  expect(changesOf({ before: { a: 1, b: ["x"] }, after: { a: 1, b: ["y"] } })).toEqual([{ name: "b", before: "x", after: "y" }]);
  expect(changesOf({ before: null, after: { queue_ttl_us: 90_000_000, at_us: [1_738_314_900_000_000] } })).toEqual([
    { name: "queue ttl", before: null, after: "90 s" },
    { name: "at", before: null, after: "2025-01-31T09:15:00.000Z" },
  ]);
  expect(auditExport("t", { action: null, initiator: null, object: "a b", refused: false })).toBe("/api/v1/tenants/t/audit/export?object=a+b");
});
