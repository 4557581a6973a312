/**
 * Who is looking, and at which tenant.
 *
 * A session is either signed out or a tenant with, unless authentication is disabled, a user. With authentication
 * disabled every request is the seeded administrator, so nobody is asked to sign in. Whoever belongs to several tenants
 * sees the one they chose last: a tab keeps its own choice, and a new tab begins with the latest.
 */
import { queryOptions, type QueryClient } from "@tanstack/react-query";
import { z } from "zod";

import { ApiError, isForbidden, request } from "./http";
import type { Role } from "./roles";
import { membershipsSchema, metaSchema, userSchema, versionSchema, type User } from "./schemas";

export interface Tenant {
  readonly id: string;
  readonly name: string;
  readonly slug: string;
}

/** A tenant of the person, and what they are in it. */
export interface Membership {
  readonly tenant: Tenant;
  readonly role: Role;
}

export interface SignedIn {
  readonly kind: "signed-in";
  readonly tenant: Tenant;
  readonly role: Role;
  /** All of the person's, this one among them. */
  readonly memberships: readonly Membership[];
  readonly authDisabled: boolean;
  readonly user: User | null;
  /** The file of a run that is shown instead of an engine; it can only be read. */
  readonly file: string | null;
  /** Whether the engine reads for people on a replica. */
  readonly hasReadReplica: boolean;
}

export type Session = SignedIn | { readonly kind: "signed-out" } | { readonly kind: "no-tenant"; readonly email: string };

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => loadSession(signal),
  staleTime: Infinity,
  retry: false,
});

/** Whether the first account is still to be made. */
export const setupNeededQuery = queryOptions({
  queryKey: ["setup-needed"],
  queryFn: async ({ signal }) => (await request(metaSchema, "/api/v1/meta", { signal })).setupNeeded,
});

export interface FirstAccount {
  readonly code: string;
  readonly name: string;
  readonly email: string;
  readonly password: string;
  readonly tenantName: string;
  readonly tenantSlug: string;
}

/** Makes the first account and tenant, and signs in. */
export async function setUp(client: QueryClient, first: FirstAccount): Promise<void> {
  await request(userSchema, "/api/v1/stable/setup", { method: "POST", body: { ...first } });
  client.removeQueries();
}

/** Whether the engine printed a link that lets a browser in when it started. */
export const entryLinkQuery = queryOptions({
  queryKey: ["entry-link-printed"],
  queryFn: async ({ signal }) => (await request(metaSchema, "/api/v1/meta", { signal })).entryLinkPrinted,
  staleTime: Infinity,
});

/** Through whom people may sign in, besides their passwords. */
export const openIdQuery = queryOptions({
  queryKey: ["openid-providers"],
  queryFn: async ({ signal }) =>
    (await request(z.object({ rows: z.array(z.object({ id: z.string(), name: z.string() })) }), "/api/v1/stable/openid/providers", { signal })).rows,
  staleTime: Infinity,
});

const PROBLEM = "hatchet-problem";

/** Why a provider's sign-in came to nothing, said once. */
export function takeSignInProblem(): string | null {
  const kept = document.cookie.split("; ").find((part) => part.startsWith(`${PROBLEM}=`));
  if (kept === undefined) return null;
  document.cookie = `${PROBLEM}=; Max-Age=0; Path=/login`;
  return decodeURIComponent(kept.slice(PROBLEM.length + 1).replace(/^"|"$/g, ""));
}

/** Whether a forgotten password is set anew by a link that is mailed. */
export const resetByMailQuery = queryOptions({
  queryKey: ["reset-by-mail"],
  queryFn: async ({ signal }) => (await request(metaSchema, "/api/v1/meta", { signal })).resetByMail,
  staleTime: Infinity,
});

export const tlsStrategyQuery = queryOptions({
  queryKey: ["tls-strategy"],
  queryFn: async ({ signal }) => (await request(metaSchema, "/api/v1/meta", { signal })).grpcTlsStrategy,
  staleTime: Infinity,
  meta: { isConstant: true },
});

/** How the read replica is; asked for again when runs change, since it falls behind only then. */
export const readReplicaQuery = queryOptions({
  queryKey: ["read-replica"],
  queryFn: async ({ signal }) => (await request(metaSchema, "/api/v1/meta", { signal })).readReplica,
});

export const engineVersionQuery = queryOptions({
  queryKey: ["engine-version"],
  queryFn: async ({ signal }) => (await request(versionSchema, "/api/v1/version", { signal })).version,
  staleTime: Infinity,
});

/** Whether the engine wants a code of a second factor as well, or another one. */
export function asksForCode(error: unknown): boolean {
  return error instanceof ApiError && error.field === "code";
}

export async function signIn(client: QueryClient, credentials: { email: string; password: string; code?: string }): Promise<void> {
  await request(userSchema, "/api/v1/users/login", { method: "POST", body: credentials });
  client.removeQueries();
}

const loggedOutSchema = z.object({ providerLogoutUrl: z.string().nullish() });

/** Ends the session; where the browser has to go to end the one at the provider as well, if one let it in. */
export async function signOut(client: QueryClient): Promise<string | null> {
  const { providerLogoutUrl } = await request(loggedOutSchema, "/api/v1/users/logout", { method: "POST" });
  client.removeQueries();
  return providerLogoutUrl ?? null;
}

const CHOICE = "broadaxe.tenant";

/** Makes a tenant the one that is looked at, and forgets everything that was read of another. */
export function chooseTenant(client: QueryClient, tenantId: string): void {
  for (const storage of storages()) storage.setItem(CHOICE, tenantId);
  client.removeQueries();
}

function chosenTenant(): string | null {
  for (const storage of storages()) {
    const id = storage.getItem(CHOICE);
    if (id !== null) return id;
  }
  return null;
}

/** The tab's own first. A browser may forbid them, and then the choice is not kept. */
function storages(): readonly Storage[] {
  try {
    return [window.sessionStorage, window.localStorage];
  } catch {
    return [];
  }
}

async function loadSession(signal: AbortSignal): Promise<Session> {
  const meta = await request(metaSchema, "/api/v1/meta", { signal });
  let user: User | null = null;
  if (!meta.authDisabled) {
    try {
      user = await request(userSchema, "/api/v1/users/current", { signal });
    } catch (error) {
      if (isForbidden(error)) return { kind: "signed-out" };
      throw error;
    }
  }
  const answer = await request(membershipsSchema, "/api/v1/users/memberships", { signal });
  const memberships = answer.rows.flatMap(({ role, tenant }): Membership[] =>
    tenant === null ? [] : [{ role, tenant: { id: tenant.metadata.id, name: tenant.name, slug: tenant.slug } }],
  );
  const choice = chosenTenant();
  const chosen = memberships.find(({ tenant }) => tenant.id === choice) ?? memberships[0];
  if (chosen === undefined) return { kind: "no-tenant", email: user?.email ?? "the administrator" };
  const { authDisabled, openedFile: file, readReplica } = meta;
  return { kind: "signed-in", ...chosen, memberships, authDisabled, user, file, hasReadReplica: readReplica !== null };
}
