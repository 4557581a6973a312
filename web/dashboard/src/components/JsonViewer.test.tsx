import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test, vi } from "vitest";

import { JsonViewer } from "./JsonViewer";

const NESTED = { name: "Ada", orders: [{ id: 1, sum: 10 }, { id: 2, sum: 20 }], address: { city: "London", zip: "W1" } };

test("a value is shown as JSON and nothing of it is lost by colouring", () => {
  const value = { text: 'a "quoted": 1', n: -1.5e3, yes: true, none: null, list: [{ 'k"': "\\" }], html: "<b>&amp;</b>" };
  render(<JsonViewer label="Output" value={value} empty="none" />);
  expect(screen.getByRole("region", { name: "Output" }).textContent).toBe(`${JSON.stringify(value, null, 2)}\n`);
});

test("an empty value is said in words", () => {
  render(<JsonViewer label="Output" value={{}} empty="This task has no output." />);
  expect(screen.getByText("This task has no output.")).toBeInTheDocument();
});

test("parts are folded and unfolded by keyboard, and a path is copied", async () => {
  const user = userEvent.setup();
  render(<JsonViewer label="Output" value={NESTED} empty="none" />);
  screen.getByRole("tree", { name: "Output" }).focus();
  await user.keyboard("{ArrowDown}{ArrowDown}{ArrowDown}");
  const orders = screen.getByRole("treeitem", { name: /"orders"/ });
  expect(orders).toHaveAttribute("aria-selected", "true");
  await user.keyboard("{ArrowLeft}");
  expect(screen.getByRole("treeitem", { name: /"orders" ?: \[…\]/ })).toHaveAttribute("aria-expanded", "false");
  expect(screen.queryByText("20")).not.toBeInTheDocument();
  await user.keyboard("{ArrowRight}{ArrowDown}{ArrowDown}");
  await user.click(screen.getByRole("button", { name: "Copy path" }));
  expect(await navigator.clipboard.readText()).toBe("orders[0].id");
});

test("a search goes from match to match and opens what they stand in", async () => {
  const user = userEvent.setup();
  render(<JsonViewer label="Output" value={NESTED} empty="none" />);
  await user.click(screen.getByRole("button", { name: "Fold" }));
  expect(screen.queryByText('"London"')).not.toBeInTheDocument();
  await user.type(screen.getByRole("searchbox", { name: "Search in output" }), "lond{Enter}");
  expect(await screen.findByText('"London"')).toBeInTheDocument();
  expect(screen.getByText("1 of 1")).toBeInTheDocument();
});

test("of a large value only what is in sight is drawn, and it is copied whole", async () => {
  // What a browser would measure.
  vi.spyOn(Element.prototype, "clientHeight", "get").mockReturnValue(384);
  vi.spyOn(Element.prototype, "clientWidth", "get").mockReturnValue(600);
  const user = userEvent.setup();
  const value = { rows: Array.from({ length: 50_000 }, (_, id) => ({ id, name: `Customer ${id}`, tags: ["a", "b"] })) };
  expect(JSON.stringify(value, null, 2).length).toBeGreaterThan(5_000_000);
  const { container } = render(<JsonViewer label="Output" value={value} empty="none" />);
  expect(screen.getByRole("region", { name: "Output" })).toHaveTextContent("rows");
  expect(container.querySelectorAll("*").length).toBeLessThan(500);
  await user.click(screen.getByRole("button", { name: "Unfold" }));
  expect(container.querySelectorAll("*").length).toBeLessThan(500);
  await user.click(screen.getByRole("button", { name: "Copy output" }));
  expect(await navigator.clipboard.readText()).toBe(JSON.stringify(value, null, 2));
});

test("a long string is shown in part until asked for", async () => {
  const user = userEvent.setup();
  render(<JsonViewer label="Output" value={{ text: "x".repeat(10_000) }} empty="none" />);
  const region = screen.getByRole("region", { name: "Output" });
  expect(region.textContent.length).toBeLessThan(2_200);
  await user.click(screen.getByRole("button", { name: /8,002 characters more/ }));
  expect(region.textContent.replaceAll(/\s/g, "")).toBe(`{"text":"${"x".repeat(10_000)}"}`);
});
