import { screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";

import { engine, onGet, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { META_WITH_LOGIN, USER } from "../test/wire";

withEngine();

test("while nobody can sign in, every address leads to the setup, and the code makes the first account", async () => {
  const asked: unknown[] = [];
  let isDone = false;
  engine.use(
    onGet("/api/v1/meta", () => ({ ...META_WITH_LOGIN, ...(isDone ? {} : { setupNeeded: true }) })),
    onGet("/api/v1/users/current", () => (isDone ? USER : refusal(403, "log in"))),
    onPost("/api/v1/stable/setup", (body) => {
      asked.push(body);
      if (asked.length === 1) return refusal(400, "this code does not count", "code");
      isDone = true;
      return USER;
    }),
  );
  const { user, router } = renderApp("/runs");
  await user.type(await screen.findByLabelText("Code from the log"), "AAAA");
  await user.type(screen.getByLabelText("E-mail"), "ada@example.com");
  await user.type(screen.getByLabelText(/Choose a password/), "Correct-horse-7");
  await user.type(screen.getByLabelText(/Name of the tenant/), "Acme (EU)");
  await user.click(screen.getByRole("button", { name: "Set up" }));
  expect(await screen.findByText("this code does not count")).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Set up" }));
  await waitFor(() => expect(router.state.location.pathname).toBe("/"));
  expect(asked[1]).toMatchObject({ code: "AAAA", email: "ada@example.com", tenantName: "Acme (EU)", tenantSlug: "acme-eu" });
});

test("afterwards the setup leads to the sign-in", async () => {
  engine.use(onGet("/api/v1/meta", META_WITH_LOGIN), onGet("/api/v1/users/current", () => refusal(403, "log in")));
  const { router } = renderApp("/setup");
  await waitFor(() => expect(router.state.location.pathname).toBe("/login"));
});
