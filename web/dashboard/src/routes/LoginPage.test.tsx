import { screen, waitFor } from "@testing-library/react";
import { beforeEach, expect, test } from "vitest";

import { loseConnections } from "../test/changes";
import { engine, onGet, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { failedRun, MEMBERSHIPS, META_WITH_LOGIN, RUN_ID, runList, runRow, TENANT_ID, USER } from "../test/wire";

withEngine();

let signedIn = false;

beforeEach(() => {
  signedIn = false;
  const guarded = (answer: unknown) => () => (signedIn ? answer : refusal(403, "not signed in"));
  engine.use(
    onGet("/api/v1/meta", META_WITH_LOGIN),
    onGet("/api/v1/users/current", guarded(USER)),
    onGet("/api/v1/users/memberships", guarded(MEMBERSHIPS)),
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/workflow-runs`, guarded(runList([runRow()]))),
    onGet(`/api/v1/stable/workflow-runs/${RUN_ID}`, guarded(failedRun())),
    onPost("/api/v1/users/login", (body) => {
      const { email, password } = body as { email: string; password: string };
      if (email !== "ada@example.com" || password !== "Correct1horse") return refusal(400, "e-mail or password is wrong");
      signedIn = true;
      return USER;
    }),
  );
});

test("whoever is not signed in is asked to, and then goes where they wanted", async () => {
  const { user, router } = renderApp(`/runs/${RUN_ID}`);
  await user.type(await screen.findByLabelText("E-mail"), "ada@example.com");
  await user.type(screen.getByLabelText("Password"), "Correct1horse");
  await user.click(screen.getByRole("button", { name: "Sign in" }));
  expect(await screen.findByRole("heading", { level: 1, name: "etl-1738314900123" })).toBeInTheDocument();
  expect(router.state.location.pathname).toBe(`/runs/${RUN_ID}`);
  expect(screen.getByText("ada@example.com")).toBeInTheDocument();
});

test("whoever signs in again comes back to the very place, with its search and its place on the page", async () => {
  const place = `/runs/${RUN_ID}?task=0b1d2c3e-0000-4000-8000-000000000003#run-input`;
  const { user, router } = renderApp(place);
  await user.type(await screen.findByLabelText("E-mail"), "ada@example.com");
  await user.type(screen.getByLabelText("Password"), "Correct1horse");
  await user.click(screen.getByRole("button", { name: "Sign in" }));
  await screen.findByRole("heading", { level: 1, name: "etl-1738314900123" });
  expect(router.state.location.href).toBe(place);
});

test("wrong credentials are answered with the engine's words", async () => {
  const { user } = renderApp("/");
  await user.type(await screen.findByLabelText("E-mail"), "ada@example.com");
  await user.type(screen.getByLabelText("Password"), "wrong");
  await user.click(screen.getByRole("button", { name: "Sign in" }));
  expect(await screen.findByRole("alert")).toHaveTextContent("e-mail or password is wrong");
});

test("whoever has a second factor is asked for its code, and keeps what they typed", async () => {
  engine.use(
    onPost("/api/v1/users/login", (body) => {
      if ((body as { code: string }).code !== "123456") return refusal(400, "give the code that your authenticator app shows", "code");
      signedIn = true;
      return USER;
    }),
  );
  const { user, router } = renderApp("/runs");
  await user.type(await screen.findByLabelText("E-mail"), "ada@example.com");
  await user.type(screen.getByLabelText("Password"), "Correct1horse");
  expect(screen.queryByLabelText(/^Code/)).not.toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Sign in" }));
  await user.type(await screen.findByLabelText(/^Code/), "123456");
  await user.click(screen.getByRole("button", { name: "Sign in" }));
  await waitFor(() => expect(router.state.location.pathname).toBe("/runs"));
});

test("a session that ends while a page is open leads back to the sign-in", async () => {
  signedIn = true;
  const { router } = renderApp("/runs");
  await screen.findByRole("link", { name: "etl-1738314900123" });
  signedIn = false;
  loseConnections();
  await waitFor(() => expect(router.state.location.pathname).toBe("/login"));
  expect(await screen.findByRole("heading", { name: "Sign in to Broadaxe" })).toBeInTheDocument();
});

test("an act that is refused because the session ended leads to the sign-in and back", async () => {
  signedIn = true;
  engine.use(
    onGet("/api/v1/stable/users/sessions", () => (signedIn ? { rows: [] } : refusal(403, "not signed in"))),
    onPost("/api/v1/users/password", () => refusal(403, "not signed in")),
  );
  const { user, router } = renderApp("/settings/account");
  await user.click(await screen.findByRole("button", { name: "Change password" }));
  await user.type(screen.getByLabelText("Current password"), "Correct1horse");
  await user.type(screen.getByLabelText("New password"), "Another1horse");
  await user.type(screen.getByLabelText("New password again"), "Another1horse");
  signedIn = false;
  await user.click(screen.getByRole("button", { name: "Change" }));
  await waitFor(() => expect(router.state.location.pathname).toBe("/login"));
  expect(router.state.location.search).toEqual({ next: "/settings/account" });
});

test("signing out ends the session", async () => {
  signedIn = true;
  engine.use(
    onPost("/api/v1/users/logout", () => {
      signedIn = false;
      return USER;
    }),
  );
  const { user } = renderApp("/");
  await user.click(await screen.findByRole("button", { name: "Sign out" }));
  expect(await screen.findByRole("heading", { name: "Sign in to Broadaxe" })).toBeInTheDocument();
});

test("a person without a tenant is told so", async () => {
  signedIn = true;
  engine.use(onGet("/api/v1/users/memberships", { rows: [] }));
  renderApp("/");
  expect(await screen.findByText(/ada@example.com is not a member of any tenant/)).toBeInTheDocument();
});

test("an engine that printed a link says to open it", async () => {
  engine.use(onGet("/api/v1/meta", { entryLinkPrinted: true }));
  renderApp("/login");
  expect(await screen.findByText(/Open the link that the engine printed/)).toBeInTheDocument();
});

test("an engine with authentication off asks nobody to sign in", async () => {
  engine.use(onGet("/api/v1/meta", { authDisabled: true }), onGet("/api/v1/users/memberships", MEMBERSHIPS));
  signedIn = true;
  const { router } = renderApp("/login");
  expect(await screen.findByRole("heading", { name: "Overview" })).toBeInTheDocument();
  expect(router.state.location.pathname).toBe("/");
  expect(screen.queryByRole("button", { name: "Sign out" })).not.toBeInTheDocument();
});
