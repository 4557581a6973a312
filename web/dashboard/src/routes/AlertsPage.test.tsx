/** The page of alerts: its history, what it says while nothing is set up, and what its dialogs ask for. */
import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";

import { engine, onGet, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { RUN_ID, TENANT_ID } from "../test/wire";

withEngine();

const BASE = `/api/v1/stable/tenants/${TENANT_ID}`;

function withAlerts(rows: readonly object[]): void {
  engine.use(
    onGet(`${BASE}/alert-channels`, () => ({ rows: [], pagination: {} })),
    onGet(`${BASE}/alerts`, () => ({ rows, pagination: {} })),
  );
}

test("the history shows of an error the line that says what happened, and leads to the run", async () => {
  withAlerts([
    {
      id: "a-1",
      ruleId: "r-1",
      rule: "orders break",
      kind: "RUN_FAILED",
      subject: "fulfil-order",
      status: "FIRING",
      openedAt: "2026-01-31T09:15:00Z",
      lastAt: "2026-01-31T09:16:00Z",
      count: 2,
      runId: RUN_ID,
      error: 'CardError: declined\nTraceback (most recent call last):\n  File "/home/ann/shop.py", line 7',
    },
  ]);
  renderApp("/settings/alerts");
  const link = await screen.findByRole("link", { name: "CardError: declined" });
  expect(link).toHaveAttribute("href", `/runs/${RUN_ID}`);
  expect(screen.getByText("goes on")).toBeInTheDocument();
});

test("without a channel there is nothing to make a rule for, which is said", async () => {
  withAlerts([]);
  renderApp("/settings/alerts");
  expect(await screen.findByText(/Begin with a channel/)).toBeInTheDocument();
  expect(screen.getByRole("button", { name: "Create a rule" })).toBeDisabled();
});

const CHANNEL = {
  metadata: { id: "c-1", createdAt: "2026-01-31T09:00:00Z", updatedAt: "2026-01-31T09:00:00Z" },
  name: "team",
  kind: "EMAIL",
  target: "ann@example.com",
  rules: [],
};

test("a rule about the whole tenant asks for no workflow, and one about how things stand for no number", async () => {
  withAlerts([]);
  const made: unknown[] = [];
  engine.use(
    onGet(`${BASE}/alert-channels`, () => ({ rows: [CHANNEL], pagination: {} })),
    onGet(`${BASE}/alert-rules`, () => ({ rows: [], pagination: {} })),
    onPost(`${BASE}/alert-rules`, (body) => {
      made.push(body);
      return refusal(400, "the window is 12s to 168h", "window");
    }),
  );
  renderApp("/settings/alerts");
  const user = userEvent.setup();
  await user.click(await screen.findByRole("button", { name: "Create a rule" }));
  const dialog = within(await screen.findByRole("dialog"));
  const watches = dialog.getByRole("combobox", { name: "What it watches" });
  await user.selectOptions(watches, "Old queue");
  expect(dialog.getByRole("combobox", { name: "Workflow" })).toBeInTheDocument();
  expect(dialog.getByRole("textbox", { name: "A task waits for" })).toHaveValue("10m");
  expect(dialog.queryByRole("textbox", { name: /Failed runs|Percent/ })).toBeNull();
  await user.selectOptions(watches, "Limit nearly used");
  expect(dialog.queryByRole("combobox", { name: "Workflow" })).toBeNull();
  expect(dialog.getByRole("textbox", { name: "Percent that are used" })).toHaveValue("80");
  await user.selectOptions(watches, "Expiring API token");
  await user.type(dialog.getByRole("textbox", { name: "Name" }), "tokens");
  await user.click(dialog.getByRole("button", { name: "Create" }));
  expect(await dialog.findByText("the window is 12s to 168h")).toBeInTheDocument();
  expect(dialog.getByRole("textbox", { name: "It ends within" })).toBeInvalid();
  expect(made).toEqual([
    { name: "tokens", kind: "TOKEN_EXPIRING", workflow: "", threshold: 1, window: "168h", quiet: "1h", channels: ["c-1"], template: "" },
  ]);
});

test("a channel of mail takes several addresses, and says at its kind that no mail is sent here", async () => {
  withAlerts([]);
  const made: unknown[] = [];
  engine.use(
    onPost(`${BASE}/alert-channels`, (body) => {
      made.push(body);
      return refusal(400, "start the engine with --smtp-url", "kind");
    }),
  );
  renderApp("/settings/alerts");
  const user = userEvent.setup();
  await user.click((await screen.findAllByRole("button", { name: "Create a channel" }))[0] as HTMLElement);
  const dialog = within(await screen.findByRole("dialog"));
  await user.selectOptions(dialog.getByRole("combobox", { name: "Kind" }), "Mail");
  await user.type(dialog.getByRole("textbox", { name: "Name" }), "team");
  await user.click(dialog.getByRole("button", { name: "Create" }));
  expect(dialog.getByText("Give an address.")).toBeInTheDocument();
  await user.type(dialog.getByRole("textbox", { name: "Addresses" }), "ann@example.com, bob@example.com");
  await user.click(dialog.getByRole("button", { name: "Create" }));
  expect(await dialog.findByText("start the engine with --smtp-url")).toBeInTheDocument();
  expect(dialog.getByRole("combobox", { name: "Kind" })).toBeInvalid();
  expect(made).toEqual([{ kind: "EMAIL", name: "team", addresses: ["ann@example.com", "bob@example.com"] }]);
});
