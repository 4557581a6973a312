/** Settings: what a person changes about the tenant and about themselves. */
import { screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test } from "vitest";

import { environmentOf } from "../services/tokens";
import { slugOf } from "../services/tenants";
import { deviceName } from "../services/account";
import { engine, onDelete, onGet, onPatch, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { MEMBERSHIPS, META_WITH_LOGIN, TENANT_ID, USER, WORKFLOW_ID } from "../test/wire";

withEngine();

const OTHER_ID = "707d0855-80ab-4e1f-a156-f1c4546cbf53";
const AT = "2025-01-31T09:15:00.123456Z";
const metadata = (id: string) => ({ id, createdAt: AT, updatedAt: AT });
const TWO = {
  rows: [
    ...MEMBERSHIPS.rows,
    {
      metadata: metadata("a1a2c3b4-0000-4000-8000-000000000002"),
      role: "VIEWER",
      user: { email: "ada@example.com" },
      tenant: { metadata: metadata(OTHER_ID), name: "Billing", slug: "billing" },
    },
  ],
};
const CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36";

function session(id: string, device: string, isCurrent: boolean) {
  return { id, device, createdAt: AT, lastUsedAt: AT, expiresAt: "2999-01-01T00:00:00.000000Z", isCurrent };
}

function limits(changes: object) {
  return {
    isEnforced: false,
    retentionDays: 30,
    limits: [
      { resource: "TASK_RUN", limitValue: 2000, isDefault: true, value: 100000, isMore: true, window: "24h0m0s" },
      { resource: "WORKER", isDefault: false, value: 2, isMore: false },
    ],
    ...changes,
  };
}

beforeEach(() => {
  engine.use(onGet("/api/v1/meta", META_WITH_LOGIN), onGet("/api/v1/users/current", USER));
});

afterEach(() => {
  localStorage.clear();
  sessionStorage.clear();
});

test("a tenant is chosen, the page stays, and the choice outlives the tab", async () => {
  const asked: string[] = [];
  engine.use(
    onGet("/api/v1/users/memberships", TWO),
    onGet("/api/v1/tenants/:tenant/workflows", (request: Request) => {
      asked.push(new URL(request.url).pathname);
      return { pagination: {}, rows: [] };
    }),
  );
  const { user, router } = renderApp("/workflows?search=etl");
  await user.selectOptions(await screen.findByRole("combobox", { name: "Tenant" }), "Billing");
  await waitFor(() => expect(asked.at(-1)).toContain(OTHER_ID));
  expect(router.state.location.pathname).toBe("/workflows");
  expect(screen.getByRole("combobox", { name: "Tenant" })).toHaveDisplayValue("Billing");
  sessionStorage.clear();
  const { router: later } = renderApp("/settings/tenant");
  await waitFor(() => expect(later.state.location.pathname).toBe("/settings/tenant"));
  expect(await screen.findByText(/shown now/)).toBeInTheDocument();
  expect(screen.getByRole("button", { name: "Switch to Default" })).toBeInTheDocument();
});

test("on a page about one thing, another tenant begins with the list", async () => {
  engine.use(
    onGet("/api/v1/users/memberships", TWO),
    onGet(`/api/v1/workflows/${WORKFLOW_ID}`, () => refusal(404, "there is no workflow")),
    onGet(`/api/v1/workflows/:id/versions`, () => refusal(404, "there is no workflow")),
    onGet("/api/v1/tenants/:tenant/workflows", { pagination: {}, rows: [] }),
  );
  const { user, router } = renderApp(`/workflows/${WORKFLOW_ID}`);
  await user.selectOptions(await screen.findByRole("combobox", { name: "Tenant" }), "Billing");
  await waitFor(() => expect(router.state.location.pathname).toBe("/workflows"));
});

test("a choice of a tenant that one no longer belongs to counts for nothing", async () => {
  localStorage.setItem("broadaxe.tenant", OTHER_ID);
  renderApp("/settings/tenant");
  expect(await screen.findByText("You belong to one tenant")).toBeInTheDocument();
  expect(screen.queryByRole("combobox", { name: "Tenant" })).not.toBeInTheDocument();
});

test("a tenant is renamed, and shown by its new name", async () => {
  let name = "Default";
  engine.use(
    onGet("/api/v1/users/memberships", () => ({
      rows: [{ ...MEMBERSHIPS.rows[0], tenant: { metadata: metadata(TENANT_ID), name, slug: "default" } }],
    })),
    onPatch(`/api/v1/tenants/${TENANT_ID}`, (body) => {
      name = (body as { name: string }).name;
      return { metadata: metadata(TENANT_ID), name, slug: "default" };
    }),
  );
  const { user } = renderApp("/settings/tenant");
  await user.click(await screen.findByRole("button", { name: "Rename" }));
  await user.clear(screen.getByLabelText("Name"));
  await user.type(screen.getByLabelText("Name"), "Acme");
  await user.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Rename" }));
  expect(await screen.findByRole("heading", { level: 2, name: "Acme" })).toBeInTheDocument();
  expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
});

test("a tenant is made with a slug from its name; a taken one is said at the field", async () => {
  const made: unknown[] = [];
  engine.use(
    onPost("/api/v1/tenants", (body) => {
      made.push(body);
      if (made.length === 1) {
        const description = "the slug 'acme-eu' is taken; choose another";
        return new Response(JSON.stringify({ errors: [{ description, field: "slug" }] }), { status: 400 });
      }
      return { metadata: metadata(OTHER_ID), name: "Acme (EU)", slug: "acme-2" };
    }),
  );
  const { user, router } = renderApp("/settings/tenant");
  await user.click(await screen.findByRole("button", { name: "Create a tenant" }));
  await user.type(screen.getByLabelText("Name"), "Acme (EU)");
  expect(screen.getByLabelText("Slug")).toHaveValue("acme-eu");
  await user.click(screen.getByRole("button", { name: "Create" }));
  expect(await screen.findByText(/is taken/)).toBeInTheDocument();
  expect(screen.getByLabelText("Slug")).toBeInvalid();
  await user.clear(screen.getByLabelText("Slug"));
  await user.type(screen.getByLabelText("Slug"), "acme-2");
  engine.use(onGet("/api/v1/users/memberships", TWO));
  await user.click(screen.getByRole("button", { name: "Create" }));
  expect(await screen.findByRole("combobox", { name: "Tenant" })).toHaveDisplayValue("Billing");
  expect(made[1]).toEqual({ name: "Acme (EU)", slug: "acme-2" });
  expect(router.state.location.pathname).toBe("/settings/tenant");
});

test("limits say what is used and that they are not enforced, and how long history is kept", async () => {
  engine.use(onGet(`/api/v1/stable/tenants/${TENANT_ID}/limits`, limits({})));
  renderApp("/settings/limits");
  expect(await screen.findByText("Not enforced.")).toBeInTheDocument();
  const rows = within(screen.getByRole("region", { name: "Limits and use" })).getAllByRole("listitem");
  expect(rows[0]).toHaveTextContent("Task runs100,000 or more of 2,000 · would be used up");
  expect(rows[1]).toHaveTextContent("Workers2 used, no limit");
  expect(screen.getByText(/kept for 30 days/)).toBeInTheDocument();
});

test("limits that bind say so", async () => {
  engine.use(onGet(`/api/v1/stable/tenants/${TENANT_ID}/limits`, limits({ isEnforced: true, retentionDays: 0 })));
  renderApp("/settings/limits");
  expect(await screen.findByText(/The engine enforces these limits/)).toBeInTheDocument();
  expect(screen.getByText(/· used up/)).toBeInTheDocument();
  expect(screen.getByText(/For ever/)).toBeInTheDocument();
});

test("sessions are listed and ended, and all others at once after saying how many", async () => {
  let rows = [session("1", CHROME, true), session("2", "curl/8.5.0", false), session("3", "", false)];
  engine.use(
    onGet("/api/v1/stable/users/sessions", () => ({ rows })),
    onDelete("/api/v1/stable/users/sessions/:id", (_, request) => {
      rows = rows.filter(({ id }) => !request.url.endsWith(`/${id}`));
      return new Response(null, { status: 204 });
    }),
    onDelete("/api/v1/stable/users/sessions", () => {
      const ended = rows.length - 1;
      rows = rows.filter(({ isCurrent }) => isCurrent);
      return { ended };
    }),
  );
  const { user } = renderApp("/settings/account");
  const table = await screen.findByRole("table", { name: "Sessions" });
  expect(within(table).getByRole("row", { name: /Chrome on Linux.*this one/ })).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Sign out everywhere else" }));
  expect(screen.getByRole("dialog")).toHaveTextContent("2 other browsers are asked to sign in again");
  await user.click(screen.getByRole("button", { name: "Keep" }));
  await user.click(screen.getByRole("button", { name: "End the session of curl" }));
  await user.click(screen.getByRole("button", { name: "End it" }));
  await waitFor(() => expect(screen.queryByRole("button", { name: "End the session of curl" })).not.toBeInTheDocument());
  await user.click(screen.getByRole("button", { name: "Sign out everywhere else" }));
  expect(screen.getByRole("dialog")).toHaveTextContent("One other browser is asked");
  await user.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Sign out" }));
  await waitFor(() => expect(screen.queryByRole("button", { name: "Sign out everywhere else" })).not.toBeInTheDocument());
});

test("a password is changed; a weak or mistyped one is not sent, a wrong one is said at its field", async () => {
  const sent: unknown[] = [];
  engine.use(
    onGet("/api/v1/stable/users/sessions", { rows: [session("1", CHROME, true)] }),
    onPost("/api/v1/users/password", (body) => {
      sent.push(body);
      if ((body as { password: string }).password === "Correct1horse") return USER;
      const description = "the current password is wrong";
      return new Response(JSON.stringify({ errors: [{ description, field: "password" }] }), { status: 400 });
    }),
  );
  const { user } = renderApp("/settings/account");
  await user.click(await screen.findByRole("button", { name: "Change password" }));
  await user.type(screen.getByLabelText("Current password"), "wrong");
  await user.type(screen.getByLabelText("New password"), "weak");
  await user.click(screen.getByRole("button", { name: "Change" }));
  expect(await screen.findByText(/8 to 64 characters/)).toBeInTheDocument();
  expect(screen.getByText("This is not the same.")).toBeInTheDocument();
  expect(sent).toEqual([]);
  await user.clear(screen.getByLabelText("New password"));
  await user.type(screen.getByLabelText("New password"), "Another1horse");
  await user.type(screen.getByLabelText("New password again"), "Another1horse");
  await user.click(screen.getByRole("button", { name: "Change" }));
  expect(await screen.findByText("the current password is wrong")).toBeInTheDocument();
  expect(screen.getByLabelText("Current password")).toBeInvalid();
  await user.clear(screen.getByLabelText("Current password"));
  await user.type(screen.getByLabelText("Current password"), "Correct1horse");
  await user.click(screen.getByRole("button", { name: "Change" }));
  expect(await screen.findByText(/Your other browsers are signed out/)).toBeInTheDocument();
});

test("members are listed, and a viewer is told why not", async () => {
  engine.use(
    onGet("/api/v1/users/memberships", { rows: [{ ...MEMBERSHIPS.rows[0], role: "VIEWER" }] }),
    onGet(`/api/v1/tenants/${TENANT_ID}/members`, () =>
      refusal(401, "this needs the role ADMIN in the tenant; yours is VIEWER"),
    ),
  );
  renderApp("/settings/members");
  expect(await screen.findByText(/needs the role ADMIN/)).toBeInTheDocument();
  expect(screen.queryByRole("button", { name: "Invite somebody" })).not.toBeInTheDocument();
});

test("a token that is made has an environment for each SDK, and tokens are found by name", async () => {
  const asked: (string | null)[] = [];
  const token = `eyJ.${btoa(JSON.stringify({ grpc_broadcast_address: "h:7077", server_url: "https://h" }))}.x`;
  engine.use(
    onGet(`/api/v1/tenants/${TENANT_ID}/api-tokens`, (request: Request) => {
      asked.push(new URL(request.url).searchParams.get("search"));
      return { rows: [{ metadata: metadata("1"), name: "ci", expiresAt: AT, role: "VIEWER", madeBy: "ada@example.com" }] };
    }),
    onPost(`/api/v1/tenants/${TENANT_ID}/api-tokens`, () => ({ token })),
  );
  const { user } = renderApp("/settings/tokens");
  expect(await screen.findByText("never")).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Create a token" }));
  await user.type(screen.getByLabelText("Name"), "ci");
  await user.click(screen.getByRole("button", { name: "Create" }));
  const shown = await screen.findByRole("region", { name: "Environment" });
  expect(shown).toHaveTextContent("HATCHET_CLIENT_SERVER_URL=https://h");
  await user.click(screen.getByRole("tab", { name: "TypeScript" }));
  expect(screen.getByRole("region", { name: "Environment" })).toHaveTextContent("HATCHET_CLIENT_API_URL=https://h");
  await user.click(screen.getByRole("button", { name: "Done" }));
  await user.type(screen.getByRole("searchbox", { name: "Search by name" }), "ci");
  await waitFor(() => expect(asked.at(-1)).toBe("ci"));
});

test("a token for one topic asks which, lives for a day, and is shown as a browser sends it", async () => {
  let asked: unknown;
  const of = { metadata: metadata("1"), name: "order 17", expiresAt: AT, role: "VIEWER", topic: { namespace: "acme", name: "orders/17" } };
  engine.use(
    onGet(`/api/v1/tenants/${TENANT_ID}/api-tokens`, () => ({ rows: [of] })),
    onPost(`/api/v1/tenants/${TENANT_ID}/api-tokens`, (body: unknown) => {
      asked = body;
      return { token: "eyJ.a.b" };
    }),
  );
  const { user } = renderApp("/settings/tokens");
  expect(await screen.findByText("reads orders/17 in acme")).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Create a token" }));
  await user.type(screen.getByLabelText("Name"), "order 17");
  await user.selectOptions(screen.getByLabelText("Role"), "One topic");
  await user.click(screen.getByRole("button", { name: "Create" }));
  expect(await screen.findByText("Say which topic it reads.")).toBeInTheDocument();
  await user.type(screen.getByLabelText("Topic"), "orders/17");
  await user.type(screen.getByLabelText("Namespace"), "acme");
  await user.click(screen.getByRole("button", { name: "Create" }));
  expect(await screen.findByRole("region", { name: "Header" })).toHaveTextContent("Authorization: Bearer eyJ.a.b");
  expect(asked).toEqual({ name: "order 17", expiresIn: "24h", topic: { namespace: "acme", name: "orders/17" } });
});

test("a token is rotated, and it is shown until when the one before counts", async () => {
  const asked: unknown[] = [];
  const old = { metadata: metadata("1"), name: "ci", expiresAt: "2999-01-01T00:00:00Z", role: "MEMBER" };
  let rows: object[] = [old];
  engine.use(
    onGet(`/api/v1/tenants/${TENANT_ID}/api-tokens`, () => ({ rows })),
    onPost("/api/v1/stable/api-tokens/1/rotate", (body: unknown) => {
      asked.push(body);
      rows = [{ ...old, metadata: metadata("2") }, { ...old, replacedBy: "2" }];
      return { token: "eyJ.x.y", oldExpiresAt: "2999-01-01T00:00:00Z" };
    }),
  );
  const { user } = renderApp("/settings/tokens");
  await user.click(await screen.findByRole("button", { name: "Rotate ci" }));
  await user.selectOptions(screen.getByLabelText("The old one goes on counting for"), "1 hour");
  await user.click(screen.getByRole("button", { name: "Rotate" }));
  expect(await screen.findByText(/The one before counts until/)).toBeInTheDocument();
  expect(asked).toEqual([{ overlap: "1h" }]);
  await user.click(screen.getByRole("button", { name: "Done" }));
  expect(await screen.findByText("replaced, counts until")).toBeInTheDocument();
  // What was replaced is not replaced again.
  expect(screen.getAllByRole("button", { name: "Rotate ci" })).toHaveLength(1);
});

test("names are turned into slugs and browsers into words", () => {
  expect(slugOf("Acme Billing (EU)")).toBe("acme-billing-eu");
  expect(slugOf("!!")).toBe("");
  expect(deviceName(CHROME)).toBe("Chrome on Linux");
  expect(deviceName("curl/8.5.0")).toBe("curl");
});

test("the environment of a token speaks TLS as the engine does, whatever its HTTP address is", () => {
  expect(environmentOf("t", "Python", null)).toBe("HATCHET_CLIENT_TOKEN=t");
  expect(environmentOf("t", "Python", "none")).toBe("HATCHET_CLIENT_TOKEN=t\nHATCHET_CLIENT_TLS_STRATEGY=none");
  const token = `eyJ.${btoa(JSON.stringify({ grpc_broadcast_address: "h:7077", server_url: "http://h" }))}.x`;
  expect(environmentOf(token, "Go", "tls")).toMatch(/SERVER_URL=http:\/\/h\nHATCHET_CLIENT_TLS_STRATEGY=tls$/);
  expect(environmentOf(token, "Python", "mtls")).toContain("HATCHET_CLIENT_TLS_CERT_FILE=");
});
