import { screen } from "@testing-library/react";
import { expect, test } from "vitest";

import { engine, onGet, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { META_WITH_LOGIN, USER } from "../test/wire";

withEngine();

const signedOut = onGet("/api/v1/users/current", () => refusal(403, "log in"));

test("whoever forgot their password asks for a link by mail, and is told the same whoever they are", async () => {
  const asked: unknown[] = [];
  engine.use(
    signedOut,
    onGet("/api/v1/meta", { ...META_WITH_LOGIN, resetByMail: true }),
    onPost("/api/v1/users/password/forgot", (body) => {
      asked.push(body);
      return {};
    }),
  );
  const { user } = renderApp("/login");
  await user.click(await screen.findByRole("link", { name: "Forgotten your password?" }));
  await screen.findByRole("heading", { name: "Forgotten password" });
  await user.type(await screen.findByLabelText("E-mail"), "ada@example.com");
  await user.click(screen.getByRole("button", { name: "Mail me a link" }));
  expect(await screen.findByRole("status")).toHaveTextContent("If there is an account with the address ada@example.com");
  expect(asked).toEqual([{ email: "ada@example.com" }]);
});

test("where no mails are sent, the page says who makes a link", async () => {
  engine.use(signedOut, onGet("/api/v1/meta", META_WITH_LOGIN));
  renderApp("/forgot-password");
  expect(await screen.findByText(/broadaxe account reset/)).toBeInTheDocument();
  expect(screen.queryByLabelText("E-mail")).not.toBeInTheDocument();
});

test("the link sets another password, typed twice, and leads to the sign-in", async () => {
  const asked: unknown[] = [];
  engine.use(
    signedOut,
    onGet("/api/v1/meta", META_WITH_LOGIN),
    onPost("/api/v1/users/password/reset", (body) => {
      asked.push(body);
      return asked.length === 1 ? refusal(400, "this link does not count any more") : USER;
    }),
  );
  const { user } = renderApp("/reset-password#s3cret");
  await user.type(await screen.findByLabelText(/^New password(?! again)/), "Another1horse");
  await user.type(screen.getByLabelText("New password again"), "Another1house");
  await user.click(screen.getByRole("button", { name: "Set the password" }));
  expect(screen.getByRole("alert")).toHaveTextContent("not the same");
  await user.clear(screen.getByLabelText("New password again"));
  await user.type(screen.getByLabelText("New password again"), "Another1horse");
  await user.click(screen.getByRole("button", { name: "Set the password" }));
  expect(await screen.findByText("this link does not count any more")).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Set the password" }));
  expect(await screen.findByRole("heading", { name: "Password changed" })).toBeInTheDocument();
  expect(asked.at(-1)).toEqual({ secret: "s3cret", newPassword: "Another1horse" });
  expect(screen.getByRole("link", { name: "Sign in" })).toHaveAttribute("href", "/login");
});
