/** What a role does not reach is not offered: the mechanism, and the console round it. */
import { render, screen } from "@testing-library/react";
import { expect, test, vi } from "vitest";

import { NEEDED_ROLES, ROLES, type Role } from "../services/roles";
import { engine, onGet, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { MEMBERSHIPS, TENANT_ID } from "../test/wire";
import { ConfirmButton } from "./ConfirmButton";
import { mayAs, RoleContext } from "./may";
import { Button } from "./ui/button";
import { Menu } from "./ui/menu";

withEngine();

const nothing = () => undefined;

function controlsFor(role: Role | null): readonly string[] {
  const { unmount } = render(
    <RoleContext value={role}>
      <Button>Look</Button>
      <Button needs="cancel">Cancel</Button>
      <Button needs="createToken">Create</Button>
      <ConfirmButton label="Delete" needs="deleteTenant" title="Delete?" confirm="Delete it" act={vi.fn()}>
        It goes.
      </ConfirmButton>
      <ConfirmButton label="Forget" needs={null} title="Forget?" confirm="Forget it" act={vi.fn()}>
        It goes.
      </ConfirmButton>
      <Menu label="More" items={[{ label: "Replay", needs: "replay", onChoose: nothing }]} />
    </RoleContext>,
  );
  const found = screen.getAllByRole("button").map((button) => button.textContent.trim());
  unmount();
  return found;
}

test.each([
  ["VIEWER", ["Look", "Forget"]],
  ["MEMBER", ["Look", "Cancel", "Forget", "More ▾"]],
  ["ADMIN", ["Look", "Cancel", "Create", "Forget", "More ▾"]],
  ["OWNER", ["Look", "Cancel", "Create", "Delete", "Forget", "More ▾"]],
  [null, ["Look", "Cancel", "Create", "Delete", "Forget", "More ▾"]],
] as const)("a %s finds the controls of what the role reaches, and a menu only with something in it", (role, offered) => {
  expect(controlsFor(role)).toEqual(offered);
});

test("a role reaches what a weaker one does", () => {
  const acts = Object.keys(NEEDED_ROLES) as (keyof typeof NEEDED_ROLES)[];
  const reached = ROLES.map((role) => acts.filter((act) => mayAs(role, act)).length);
  expect(reached).toEqual(reached.toSorted((one, other) => one - other));
  expect(reached[0]).toBe(0);
  expect(reached.at(-1)).toBe(acts.length);
});

test("a viewer is led to no page that is refused, and /settings leads to one that is not", async () => {
  engine.use(onGet("/api/v1/users/memberships", { rows: [{ ...MEMBERSHIPS.rows[0], role: "VIEWER" }] }));
  const { router } = renderApp("/settings");
  await screen.findByRole("heading", { level: 1, name: "Tenant" });
  expect(router.state.location.pathname).toBe("/settings/tenant");
  const pages = screen.getAllByRole("link").map((link) => link.textContent);
  expect(pages).toContain("Alerts");
  for (const refused of ["API tokens", "Members", "Audit log"]) expect(pages).not.toContain(refused);
  expect(screen.queryByRole("button", { name: "Rename" })).not.toBeInTheDocument();
  expect(screen.getByRole("button", { name: "Create a tenant" })).toBeInTheDocument();
});

test("a page that a role may not read says so, and does not offer to try again", async () => {
  engine.use(
    onGet("/api/v1/users/memberships", { rows: [{ ...MEMBERSHIPS.rows[0], role: "VIEWER" }] }),
    onGet(`/api/v1/tenants/${TENANT_ID}/members`, () => refusal(401, "this needs the role ADMIN in the tenant; yours is VIEWER")),
  );
  renderApp("/settings/members");
  expect(await screen.findByRole("heading", { name: "Your role does not allow this" })).toBeInTheDocument();
  expect(screen.getByText(/yours is VIEWER/)).toBeInTheDocument();
  expect(screen.queryByRole("button", { name: "Try again" })).not.toBeInTheDocument();
});
