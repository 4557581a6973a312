import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";

import { JsonViewer } from "./JsonViewer";

test("a value is shown as JSON and nothing of it is lost by colouring", () => {
  const value = { text: 'a "quoted": 1', n: -1.5e3, yes: true, none: null, list: [{ 'k"': "\\" }], html: "<b>&amp;</b>" };
  render(<JsonViewer label="Output" value={value} empty="none" />);
  expect(screen.getByRole("region", { name: "Output" }).textContent).toBe(JSON.stringify(value, null, 2));
});

test("an empty value is said in words", () => {
  render(<JsonViewer label="Output" value={{}} empty="This task has no output." />);
  expect(screen.getByText("This task has no output.")).toBeInTheDocument();
});

test("a huge value is shown in part until asked for, and copied whole", async () => {
  const user = userEvent.setup();
  const value = { text: "x".repeat(100_000) };
  render(<JsonViewer label="Output" value={value} empty="none" />);
  expect(screen.getByRole("region", { name: "Output" }).textContent).toHaveLength(60_000);
  await user.click(screen.getByRole("button", { name: "Copy output" }));
  expect(screen.getByText("Copied")).toBeInTheDocument();
  expect(await navigator.clipboard.readText()).toBe(JSON.stringify(value, null, 2));
  await user.click(screen.getByRole("button", { name: "Show all" }));
  expect(screen.getByRole("region", { name: "Output" }).textContent).toBe(JSON.stringify(value, null, 2));
});
