/** People: who is in, who is asked in, and the page behind the link of an invite. */
import { screen, waitFor, within } from "@testing-library/react";
import { beforeEach, expect, test } from "vitest";

import { engine, onDelete, onGet, onPatch, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { MEMBERSHIPS, META_WITH_LOGIN, TENANT_ID, USER } from "../test/wire";

withEngine();

const AT = "2025-01-31T09:15:00.123456Z";
const metadata = (id: string) => ({ id, createdAt: AT, updatedAt: AT });
const MEMBERS = `/api/v1/tenants/${TENANT_ID}/members`;
const INVITES = `/api/v1/tenants/${TENANT_ID}/invites`;
const INVITE = {
  metadata: metadata("i1"),
  email: "bob@example.com",
  role: "ADMIN",
  tenantId: TENANT_ID,
  tenantName: "Default",
  expires: "2999-01-01T00:00:00Z",
  invitedBy: "ada@example.com",
};
const OPEN = { ...INVITE, id: "i1", hasAccount: false };

function member(id: string, email: string, role: string) {
  return { metadata: metadata(id), role, user: { email } };
}

beforeEach(() => {
  engine.use(
    onGet("/api/v1/meta", META_WITH_LOGIN),
    onGet("/api/v1/users/current", USER),
    onGet(MEMBERS, { rows: [member("m1", "ada@example.com", "OWNER"), member("m2", "vic@example.com", "VIEWER")] }),
    onGet(INVITES, { rows: [] }),
  );
});

test("somebody is invited, and the link is shown once; a refused address is said at the field", async () => {
  const asked: unknown[] = [];
  engine.use(
    onPost(INVITES, (body) => {
      asked.push(body);
      return asked.length === 1 ? refusal(400, "bob@example.com belongs to this tenant already", "email") : { ...INVITE, link: "http://here/invite#s3cret" };
    }),
  );
  const { user } = renderApp("/settings/members");
  await user.click(await screen.findByRole("button", { name: "Invite somebody" }));
  await user.click(screen.getByRole("button", { name: "Invite" }));
  expect(screen.getByText("Give their e-mail address.")).toBeInTheDocument();
  await user.type(screen.getByLabelText("E-mail"), "bob@example.com");
  await user.selectOptions(screen.getByLabelText("Role"), "ADMIN");
  await user.click(screen.getByRole("button", { name: "Invite" }));
  expect(await screen.findByText(/belongs to this tenant already/)).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Invite" }));
  expect(await screen.findByRole("region", { name: "Link" })).toHaveTextContent("http://here/invite#s3cret");
  expect(asked[1]).toEqual({ email: "bob@example.com", role: "ADMIN" });
});

test("a role is changed and a member removed; nobody changes themselves", async () => {
  const done: unknown[] = [];
  engine.use(
    onPatch(`${MEMBERS}/m2`, (body) => {
      done.push(body);
      return member("m2", "vic@example.com", "MEMBER");
    }),
    onDelete(`${MEMBERS}/m2`, () => {
      done.push("removed");
      return new Response(null, { status: 204 });
    }),
  );
  const { user } = renderApp("/settings/members");
  await user.click(await screen.findByRole("button", { name: "Change role of vic@example.com" }));
  expect(screen.queryByRole("button", { name: "Change role of ada@example.com" })).not.toBeInTheDocument();
  await user.selectOptions(screen.getByLabelText("Role"), "MEMBER");
  await user.click(screen.getByRole("button", { name: "Change" }));
  await waitFor(() => expect(done).toEqual([{ role: "MEMBER" }]));
  await user.click(screen.getByRole("button", { name: "Remove vic@example.com" }));
  await user.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Remove" }));
  await waitFor(() => expect(done[1]).toBe("removed"));
});

test("an admin changes no owner and makes none", async () => {
  engine.use(onGet("/api/v1/users/memberships", { rows: [{ ...MEMBERSHIPS.rows[0], role: "ADMIN" }] }));
  engine.use(onGet(MEMBERS, { rows: [member("m3", "olga@example.com", "OWNER"), member("m2", "vic@example.com", "VIEWER")] }));
  const { user } = renderApp("/settings/members");
  await user.click(await screen.findByRole("button", { name: "Change role of vic@example.com" }));
  expect(screen.queryByRole("button", { name: "Remove olga@example.com" })).not.toBeInTheDocument();
  expect(within(screen.getByLabelText("Role")).queryByRole("option", { name: "OWNER" })).not.toBeInTheDocument();
});

test("a newcomer opens the link, chooses a password, and is in", async () => {
  const asked: unknown[] = [];
  let isIn = false;
  engine.use(
    onGet("/api/v1/users/current", () => (isIn ? { ...USER, email: "bob@example.com" } : refusal(403, "log in"))),
    onPost("/api/v1/stable/invites/look", (body) => {
      asked.push(body);
      return OPEN;
    }),
    onPost("/api/v1/stable/invites/join", (body) => {
      asked.push(body);
      isIn = true;
      return USER;
    }),
  );
  const { user, router } = renderApp("/invite#s3cret");
  expect(await screen.findByRole("heading", { name: "Join Default" })).toBeInTheDocument();
  await user.type(screen.getByLabelText(/Choose a password/), "Correct-horse-7");
  await user.click(screen.getByRole("button", { name: "Join" }));
  await waitFor(() => expect(router.state.location.pathname).toBe("/"));
  expect(asked).toEqual([{ secret: "s3cret" }, { secret: "s3cret", name: "", password: "Correct-horse-7" }]);
});

test("whoever is signed in as somebody else is told so; a link that does not count says why", async () => {
  engine.use(onPost("/api/v1/stable/invites/look", () => OPEN));
  renderApp("/invite#s3cret");
  expect(await screen.findByText(/You are signed in as ada@example.com/)).toBeInTheDocument();
  expect(screen.queryByRole("button", { name: "Join" })).not.toBeInTheDocument();
  engine.use(onPost("/api/v1/stable/invites/look", () => refusal(400, "this invite does not count any more")));
  renderApp("/invite#other");
  expect(await screen.findByText(/does not count any more/)).toBeInTheDocument();
});

test("an invite for oneself is accepted in the settings", async () => {
  const asked: unknown[] = [];
  engine.use(
    onGet("/api/v1/users/invites", { rows: [{ ...INVITE, tenantName: "Billing" }] }),
    onPost("/api/v1/users/invites/accept", (body) => {
      asked.push(body);
      return new Response(null, { status: 200 });
    }),
  );
  const { user } = renderApp("/settings/tenant");
  await user.click(await screen.findByRole("button", { name: "Accept" }));
  await waitFor(() => expect(asked).toEqual([{ invite: "i1" }]));
});

test("an invite for oneself is rejected after a question", async () => {
  const asked: unknown[] = [];
  engine.use(
    onGet("/api/v1/users/invites", { rows: [{ ...INVITE, tenantName: "Billing" }] }),
    onPost("/api/v1/users/invites/reject", (body) => {
      asked.push(body);
      return new Response(null, { status: 200 });
    }),
  );
  const { user } = renderApp("/settings/tenant");
  await user.click(await screen.findByRole("button", { name: "Reject the invite to Billing" }));
  expect(asked).toEqual([]);
  await user.click(await screen.findByRole("button", { name: "Reject it" }));
  await waitFor(() => expect(asked).toEqual([{ invite: "i1" }]));
});
