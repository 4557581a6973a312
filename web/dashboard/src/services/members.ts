/** Who belongs to a tenant and in which role, and who is asked in. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { ROLES, type Role } from "./roles";
import { instantMs, orNull, resourceMeta, rowsOf, userSchema } from "./schemas";

export const ROLE_MEANS: Readonly<Record<Role, string>> = {
  VIEWER: "sees everything and changes nothing",
  MEMBER: "starts, cancels and replays runs, and changes what starts them",
  ADMIN: "also makes tokens, and invites, changes and removes people",
  OWNER: "also makes and changes owners",
};

const memberSchema = z.object({
  metadata: resourceMeta,
  role: z.enum(ROLES),
  user: z.object({ email: z.string(), name: orNull(z.string()) }),
});
export type Member = z.output<typeof memberSchema>;

export function membersQuery(tenantId: string) {
  return pagedQuery(["members", tenantId], `/api/v1/tenants/${tenantId}/members`, memberSchema);
}

export async function changeRole(tenantId: string, memberId: string, role: Role): Promise<void> {
  await request(memberSchema, `/api/v1/tenants/${tenantId}/members/${memberId}`, { method: "PATCH", body: { role } });
}

export async function removeMember(tenantId: string, memberId: string): Promise<void> {
  await request(z.unknown(), `/api/v1/tenants/${tenantId}/members/${memberId}`, { method: "DELETE" });
}

const inviteSchema = z.object({
  metadata: resourceMeta,
  email: z.string(),
  role: z.enum(ROLES),
  tenantName: z.string(),
  expires: instantMs,
  invitedBy: z.string(),
});
export type Invite = z.output<typeof inviteSchema>;

const madeSchema = z.object({
  ...inviteSchema.shape,
  link: z.string(),
  /** Whether the link went to them by mail; null where the engine sends no mails. */
  mailed: orNull(z.boolean()),
  mailProblem: orNull(z.string()),
});
export type MadeInvite = z.output<typeof madeSchema>;

export function invitesQuery(tenantId: string) {
  return queryOptions({
    queryKey: ["invites", tenantId],
    queryFn: async ({ signal }) =>
      (await request(z.object({ rows: rowsOf(inviteSchema) }), `/api/v1/tenants/${tenantId}/invites`, { signal })).rows,
  });
}

export function invite(tenantId: string, email: string, role: Role): Promise<MadeInvite> {
  return request(madeSchema, `/api/v1/tenants/${tenantId}/invites`, { method: "POST", body: { email, role } });
}

/** Makes another link; the one before ends. */
export function resendInvite(tenantId: string, inviteId: string): Promise<MadeInvite> {
  return request(madeSchema, `/api/v1/stable/tenants/${tenantId}/invites/${inviteId}/resend`, { method: "POST" });
}

export async function revokeInvite(tenantId: string, inviteId: string): Promise<void> {
  await request(inviteSchema, `/api/v1/tenants/${tenantId}/invites/${inviteId}`, { method: "DELETE" });
}

/** Invites for whoever is signed in. */
export const myInvitesQuery = queryOptions({
  queryKey: ["my-invites"],
  queryFn: async ({ signal }) => (await request(z.object({ rows: rowsOf(inviteSchema) }), "/api/v1/users/invites", { signal })).rows,
});

export async function acceptInvite(inviteId: string): Promise<void> {
  await request(z.unknown(), "/api/v1/users/invites/accept", { method: "POST", body: { invite: inviteId } });
}

export async function rejectInvite(inviteId: string): Promise<void> {
  await request(z.unknown(), "/api/v1/users/invites/reject", { method: "POST", body: { invite: inviteId } });
}

const openInviteSchema = z.object({
  id: z.string(),
  email: z.string(),
  role: z.enum(ROLES),
  tenantId: z.string(),
  tenantName: z.string(),
  expires: instantMs,
  invitedBy: z.string(),
  hasAccount: z.boolean(),
});
export type OpenInvite = z.output<typeof openInviteSchema>;

/** What a link's secret asks somebody into. */
export function openInviteQuery(secret: string) {
  return queryOptions({
    queryKey: ["open-invite", secret],
    queryFn: ({ signal }) => request(openInviteSchema, "/api/v1/stable/invites/look", { method: "POST", body: { secret }, signal }),
    retry: false,
    staleTime: Infinity,
  });
}

/** Makes the account that the invite is for, and signs in. */
export async function join(secret: string, name: string, password: string): Promise<void> {
  await request(userSchema, "/api/v1/stable/invites/join", { method: "POST", body: { secret, name, password } });
}

export async function rejectByLink(secret: string): Promise<void> {
  await request(z.unknown(), "/api/v1/stable/invites/reject", { method: "POST", body: { secret } });
}
