import { screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";

import { withEngine } from "../../test/engine";
import { renderApp } from "../../test/renderApp";
import { RUN_ID } from "../../test/wire";

withEngine();

test("a page is found by keyboard alone, and a run by its id", async () => {
  const { user, router } = renderApp("/runs");
  await screen.findByRole("heading", { level: 1 });
  await user.keyboard("{Control>}k{/Control}");
  const input = await screen.findByRole("combobox", { name: "Commands" });
  expect(input).toHaveFocus();
  await user.keyboard("crons");
  await waitFor(() => expect(screen.getByRole("option", { name: "Crons" })).toHaveAttribute("aria-selected", "true"));
  await user.keyboard("{Enter}");
  await waitFor(() => expect(router.state.location.pathname).toBe("/crons"));
  await user.keyboard(`{Control>}k{/Control}`);
  await user.type(await screen.findByRole("combobox", { name: "Commands" }), RUN_ID);
  await user.click(await screen.findByRole("option", { name: `Open the run ${RUN_ID}` }));
  await waitFor(() => expect(router.state.location.pathname).toBe(`/runs/${RUN_ID}`));
});

test("the theme is chosen in the palette, and the browser remembers it", async () => {
  const { user } = renderApp("/runs");
  await screen.findByRole("heading", { level: 1 });
  await user.keyboard("{Control>}k{/Control}");
  await user.type(await screen.findByRole("combobox", { name: "Commands" }), "theme dark");
  await user.click(await screen.findByRole("option", { name: "Theme: dark" }));
  expect(document.documentElement.dataset["theme"]).toBe("dark");
  expect(window.localStorage.getItem("broadaxe.theme")).toBe("dark");
  await user.selectOptions(screen.getByLabelText("Theme"), "system");
  expect(document.documentElement.dataset["theme"]).toBeUndefined();
});

test("? lists the keys, g goes, and neither does while somebody writes", async () => {
  const { user, router } = renderApp("/runs");
  await screen.findByRole("heading", { level: 1 });
  await user.keyboard("?");
  expect(await screen.findByRole("dialog", { name: "Keys" })).toHaveTextContent("Go to Workflows");
  await user.click(screen.getByRole("button", { name: "Close" }));
  await user.keyboard("gw");
  await waitFor(() => expect(router.state.location.pathname).toBe("/workflows"));
  await user.type(await screen.findByRole("searchbox", { name: "Find by name" }), "gr?");
  expect(router.state.location.pathname).toBe("/workflows");
  expect(screen.queryByRole("dialog", { name: "Keys" })).not.toBeInTheDocument();
});
