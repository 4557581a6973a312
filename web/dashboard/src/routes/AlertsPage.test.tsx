/** The page of alerts: its history, and what it says while nothing is set up. */
import { screen } from "@testing-library/react";
import { expect, test } from "vitest";

import { engine, onGet, withEngine } from "../test/engine";
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
