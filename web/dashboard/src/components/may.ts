/**
 * What somebody may do in the tenant that is shown, by their role in it.
 *
 * An act is a request of the engine's, by the name it has there; the role that it needs is what its route declares
 * (`services/roles.ts` is written from that). A control that names its act is not there for whoever would be refused.
 */
import { createContext, useContext } from "react";

import { NEEDED_ROLES, ROLES, type Role } from "../services/roles";

export type Act = keyof typeof NEEDED_ROLES;

/** The person's role in the tenant that is shown; null on pages of no tenant, which ask nothing of a role. */
export const RoleContext = createContext<Role | null>(null);

export function mayAs(role: Role | null, act: Act): boolean {
  return role === null || ROLES.indexOf(role) >= ROLES.indexOf(NEEDED_ROLES[act]);
}

export function useMay(): (act: Act) => boolean {
  const role = useContext(RoleContext);
  return (act) => mayAs(role, act);
}
