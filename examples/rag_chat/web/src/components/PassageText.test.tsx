import { render, screen, within } from "@testing-library/react";
import { expect, it } from "vitest";
import { PassageText } from "./PassageText";

it("is Markdown without pictures and HTML, whose wide parts the keyboard can scroll", () => {
  render(<PassageText text={"| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nlong\n```\n\n![a cat](https://e.org/cat.png) <b>no</b>"} />);
  const table = screen.getByRole("group", { name: "Table" });
  expect(table.tabIndex).toBe(0);
  expect(within(table).getByRole("table")).toBeTruthy();
  expect(screen.getByText("long").closest("pre")?.tabIndex).toBe(0);
  expect(screen.queryByRole("img")).toBeNull();
  expect(document.querySelector("b")).toBeNull();
});
