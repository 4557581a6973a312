import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test, vi } from "vitest";

import { TimeChart, type Point, type Series } from "./TimeChart";

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2025, 0, 31, 9, 15);
const SERIES: readonly Series[] = [
  { key: "good", label: "Good", color: "--completed", format: String },
  { key: "bad", label: "Bad", color: "--failed", format: String },
];
const POINTS: readonly Point[] = [
  { atMs: START_MS, values: { good: 3, bad: 1 } },
  { atMs: START_MS + MINUTE_MS, values: { good: 0, bad: 0 } },
  { atMs: START_MS + 2 * MINUTE_MS, values: { good: 8, bad: null } },
];

test("what a chart shows is said in words and in a table without the empty buckets", async () => {
  const user = userEvent.setup();
  render(<TimeChart title="Ends" kind="bars" series={SERIES} points={POINTS} widthMs={MINUTE_MS} />);
  expect(screen.getByRole("img")).toHaveAccessibleName("Ends: good at most 8, bad at most 1");
  await user.click(screen.getByText("As a table"));
  const rows = within(await screen.findByRole("table", { name: "Ends" })).getAllByRole("row");
  expect(rows.map((row) => row.textContent)).toEqual(["FromGoodBad", expect.stringMatching(/31$/), expect.stringMatching(/8–$/)]);
});

test("a bucket is chosen from the table by keyboard, with the series that are shown", async () => {
  const user = userEvent.setup();
  const onChoose = vi.fn();
  render(<TimeChart title="Ends" kind="bars" series={SERIES} points={POINTS} widthMs={MINUTE_MS} onChoose={onChoose} />);
  await user.click(screen.getByRole("button", { name: "Good", pressed: true }));
  await user.click(screen.getByText("As a table"));
  const table = await screen.findByRole("table", { name: "Ends" });
  expect(within(table).queryByRole("columnheader", { name: "Good" })).not.toBeInTheDocument();
  within(table).getByRole("button").focus();
  await user.keyboard("{Enter}");
  expect(onChoose).toHaveBeenCalledWith({ fromMs: START_MS, toMs: START_MS + MINUTE_MS }, ["bad"]);
});

test("a time without anything says so instead of showing an empty chart", () => {
  render(<TimeChart title="Ends" kind="lines" series={SERIES} points={POINTS.slice(1, 2)} widthMs={MINUTE_MS} />);
  expect(screen.getByText("Nothing in this time.")).toBeInTheDocument();
  expect(screen.queryByRole("img")).not.toBeInTheDocument();
});
