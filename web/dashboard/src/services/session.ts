/**
 * Who is looking, and at which tenant.
 *
 * A session is either signed out or a tenant with, unless authentication is disabled, a user. With authentication
 * disabled every request is the seeded administrator, so nobody is asked to sign in.
 */
import { queryOptions, type QueryClient } from "@tanstack/react-query";
import { z } from "zod";

import { isForbidden, request } from "./http";
import { membershipsSchema, metaSchema, userSchema, versionSchema, type User } from "./schemas";

export interface Tenant {
  readonly id: string;
  readonly name: string;
}

export interface SignedIn {
  readonly kind: "signed-in";
  readonly tenant: Tenant;
  readonly authDisabled: boolean;
  readonly user: User | null;
}

export type Session = SignedIn | { readonly kind: "signed-out" } | { readonly kind: "no-tenant"; readonly email: string };

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => loadSession(signal),
  staleTime: Infinity,
  retry: false,
});

/** Whether the engine printed a link that lets a browser in when it started. */
export const entryLinkQuery = queryOptions({
  queryKey: ["entry-link-printed"],
  queryFn: async ({ signal }) => (await request(metaSchema, "/api/v1/meta", { signal })).entryLinkPrinted,
  staleTime: Infinity,
});

export const engineVersionQuery = queryOptions({
  queryKey: ["engine-version"],
  queryFn: async ({ signal }) => (await request(versionSchema, "/api/v1/version", { signal })).version,
  staleTime: Infinity,
});

export async function signIn(client: QueryClient, credentials: { email: string; password: string }): Promise<void> {
  await request(userSchema, "/api/v1/users/login", { method: "POST", body: credentials });
  client.removeQueries();
}

export async function signOut(client: QueryClient): Promise<void> {
  await request(z.unknown(), "/api/v1/users/logout", { method: "POST" });
  client.removeQueries();
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
  const memberships = await request(membershipsSchema, "/api/v1/users/memberships", { signal });
  const tenant = memberships.rows.find((row) => row.tenant !== null)?.tenant ?? null;
  if (tenant === null) return { kind: "no-tenant", email: user?.email ?? "the administrator" };
  return {
    kind: "signed-in",
    tenant: { id: tenant.metadata.id, name: tenant.name },
    authDisabled: meta.authDisabled,
    user,
  };
}
