/** The person's own account: its password, and where it is logged in. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, userSchema } from "./schemas";

const sessionSchema = z.object({
  id: z.string(),
  device: z.string(),
  createdAt: instantMs,
  lastUsedAt: instantMs,
  expiresAt: instantMs,
  isCurrent: z.boolean(),
});
export type LoginSession = z.output<typeof sessionSchema>;

const SESSIONS = "/api/v1/stable/users/sessions";

export const sessionsQuery = pagedQuery(["sessions"], SESSIONS, sessionSchema);

export async function endSession(id: string): Promise<void> {
  await request(z.unknown(), `${SESSIONS}/${id}`, { method: "DELETE" });
}

/** Answers how many were ended. */
export async function endOtherSessions(): Promise<number> {
  return (await request(z.object({ ended: z.int() }), SESSIONS, { method: "DELETE" })).ended;
}

export async function changePassword(password: string, newPassword: string): Promise<void> {
  await request(userSchema, "/api/v1/users/password", { method: "POST", body: { password, newPassword } });
}

/** Has a link mailed to the account with this address, if there is one. */
export async function askForReset(email: string): Promise<void> {
  await request(z.unknown(), "/api/v1/users/password/forgot", { method: "POST", body: { email } });
}

/** Sets another password with the secret of a link. */
export function resetPassword(secret: string, newPassword: string) {
  return request(userSchema, "/api/v1/users/password/reset", { method: "POST", body: { secret, newPassword } });
}

const FACTOR = "/api/v1/stable/users/second-factor";

const secondFactorSchema = z.object({
  /** Null while it is off. */
  since: orNull(instantMs),
  recoveryCodesLeft: z.int().nullish().transform((left) => left ?? 0),
});

export const secondFactorQuery = queryOptions({
  queryKey: ["second-factor"],
  queryFn: ({ signal }) => request(secondFactorSchema, FACTOR, { signal }),
});

const newSecondFactorSchema = z.object({ secret: z.string(), picture: z.string() });
export type NewSecondFactor = z.output<typeof newSecondFactorSchema>;

export function beginSecondFactor(password: string): Promise<NewSecondFactor> {
  return request(newSecondFactorSchema, FACTOR, { method: "POST", body: { password } });
}

/** Answers the recovery codes, which are shown this once. */
export async function confirmSecondFactor(code: string): Promise<readonly string[]> {
  return (await request(z.object({ codes: z.array(z.string()) }), `${FACTOR}/confirm`, { method: "POST", body: { code } })).codes;
}

export async function turnOffSecondFactor(password: string): Promise<void> {
  await request(z.unknown(), `${FACTOR}/off`, { method: "POST", body: { password } });
}

const BROWSERS = [
  ["Edg", "Edge"],
  ["OPR", "Opera"],
  ["Firefox", "Firefox"],
  ["Chrome", "Chrome"],
  ["Safari", "Safari"],
] as const;
const SYSTEMS = [
  ["Android", "Android"],
  ["iPhone", "iPhone"],
  ["iPad", "iPad"],
  ["Windows", "Windows"],
  ["Mac OS X", "macOS"],
  ["CrOS", "ChromeOS"],
  ["Linux", "Linux"],
] as const;

/** What a person would call the browser that calls itself this. */
export function deviceName(userAgent: string): string {
  if (userAgent === "") return "An unnamed browser";
  const browser = BROWSERS.find(([mark]) => userAgent.includes(`${mark}/`))?.[1];
  if (browser === undefined) return userAgent.split("/")[0] ?? userAgent;
  const system = SYSTEMS.find(([mark]) => userAgent.includes(mark))?.[1];
  return system === undefined ? browser : `${browser} on ${system}`;
}
