/** API tokens of the tenant: listed without their text, which is shown once when one is made. */
import { z } from "zod";

import { request } from "./http";
import { pagedQuery } from "./pages";
import { instantMs, orNull, resourceMeta } from "./schemas";

const tokenSchema = z.object({
  metadata: resourceMeta,
  name: z.string(),
  expiresAt: instantMs,
  lastUsedAt: orNull(instantMs),
  role: z.string(),
  /** The one durable stream it reads; it does nothing else. */
  topic: orNull(z.object({ namespace: z.string(), name: z.string() })),
  madeBy: orNull(z.string()),
  /** Which token took its place; it goes on counting until it expires. */
  replacedBy: orNull(z.string()),
});
export type ApiToken = z.output<typeof tokenSchema>;

export function tokensQuery(tenantId: string, search = "") {
  return pagedQuery(["tokens", tenantId], `/api/v1/tenants/${tenantId}/api-tokens`, tokenSchema, {
    search: search === "" ? null : search,
  });
}

export const TOKEN_ROLES = [
  { role: "ADMIN", means: "does everything but what concerns people and tokens" },
  { role: "MEMBER", means: "is a worker, and starts, cancels and replays runs" },
  { role: "VIEWER", means: "reads and changes nothing; it is refused to workers" },
] as const;
export type TokenRole = (typeof TOKEN_ROLES)[number]["role"];

/** What a token may do: what a role may, or read one topic. */
export type Purpose = { role: TokenRole } | { topic: { namespace: string; name: string } };

/** `expiresIn` is a duration such as `2160h`. Answers the token itself. */
export async function createToken(tenantId: string, name: string, expiresIn: string, purpose: Purpose): Promise<string> {
  const path = `/api/v1/tenants/${tenantId}/api-tokens`;
  return (await request(z.object({ token: z.string() }), path, { method: "POST", body: { name, expiresIn, ...purpose } })).token;
}

/** Puts a new token in the place of another, which goes on counting for `overlap`, a duration such as `24h`. */
export function rotateToken(tokenId: string, overlap: string): Promise<{ token: string; oldExpiresAt: number }> {
  const path = `/api/v1/stable/api-tokens/${tokenId}/rotate`;
  return request(z.object({ token: z.string(), oldExpiresAt: instantMs }), path, { method: "POST", body: { overlap } });
}

export async function revokeToken(tokenId: string): Promise<void> {
  await request(z.unknown(), `/api/v1/api-tokens/${tokenId}`, { method: "POST" });
}

const claimsSchema = z.object({ grpc_broadcast_address: z.string(), server_url: z.string() });

export type TlsStrategy = "none" | "tls" | "mtls";

export const SDKS = ["Python", "TypeScript", "Go"] as const;
export type Sdk = (typeof SDKS)[number];

/** The name that each SDK has for the address of the HTTP API. */
const SERVER_URL: Readonly<Record<Sdk, string>> = {
  Python: "HATCHET_CLIENT_SERVER_URL",
  TypeScript: "HATCHET_CLIENT_API_URL",
  Go: "HATCHET_CLIENT_SERVER_URL",
};

const CERTIFICATE_FILES = ["HATCHET_CLIENT_TLS_CERT_FILE=client.pem", "HATCHET_CLIENT_TLS_KEY_FILE=client.key"];

/**
 * What a program needs in its environment to connect with this token. `tls` is what the engine says of its gRPC address;
 * where it says nothing the SDK does what it does by itself, which is TLS.
 */
export function environmentOf(token: string, sdk: Sdk, tls: TlsStrategy | null): string {
  const lines = [`HATCHET_CLIENT_TOKEN=${token}`];
  try {
    const segment = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const claims = claimsSchema.parse(JSON.parse(atob(segment)));
    lines.push(`HATCHET_CLIENT_HOST_PORT=${claims.grpc_broadcast_address}`, `${SERVER_URL[sdk]}=${claims.server_url}`);
  } catch {
    // A token that does not say where its engine is needs its addresses from somewhere else.
  }
  if (tls !== null) lines.push(`HATCHET_CLIENT_TLS_STRATEGY=${tls}`);
  return [...lines, ...(tls === "mtls" ? CERTIFICATE_FILES : [])].join("\n");
}
