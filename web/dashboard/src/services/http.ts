/**
 * One HTTP call to the engine.
 *
 * Owns the transport: same-origin JSON, a time limit, one error type, and validation of every answer against the schema
 * the caller names. Refuses answers that do not match; nothing unchecked reaches a component.
 */
import { z } from "zod";

const REQUEST_TIMEOUT_MS = 30_000;

export type ApiErrorKind = "unreachable" | "refused" | "unexpected";

/** What went wrong with a call, in words that can be shown to a person. `status` is 0 when no answer came. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly kind: ApiErrorKind,
    readonly status: number,
    message: string,
    /** The input that is to blame, as the engine names it. */
    readonly field: string | null = null,
  ) {
    super(message);
  }
}

export function isNotFound(error: unknown): boolean {
  // An id that is not a UUID is answered 400 by the engine; to a reader both mean "there is no such thing".
  return error instanceof ApiError && (error.status === 404 || error.status === 400);
}

export function isForbidden(error: unknown): boolean {
  return error instanceof ApiError && error.status === 403;
}

/** What a person can do about it, where the engine's own words leave that open. */
export function adviceOn(error: unknown): string | null {
  if (!(error instanceof ApiError)) return null;
  if (error.kind === "unreachable") return "Nothing is lost: try again when it is back.";
  switch (error.status) {
    case 401:
      return "Your role does not allow it; ask an owner or an administrator of this tenant.";
    case 409:
      return "Somebody or something was there first. Look at how it is now, then try again or choose another name or key.";
    case 429:
      return "A limit of this tenant is used up. Wait until it has room again, or have it raised.";
    default:
      return null;
  }
}

type QueryValue = string | number | boolean | readonly string[] | null | undefined;

export interface RequestOptions {
  readonly method?: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  readonly query?: Readonly<Record<string, QueryValue>>;
  readonly body?: unknown;
  /** A body that is no JSON. */
  readonly text?: string;
  readonly signal?: AbortSignal;
}

const errorBodySchema = z.object({
  errors: z.array(z.object({ description: z.string(), field: z.string().nullish() })).optional(),
  message: z.string().optional(),
});

export async function request<Schema extends z.ZodType>(
  schema: Schema,
  path: string,
  options: RequestOptions = {},
): Promise<z.output<Schema>> {
  const url = new URL(path, window.location.origin);
  for (const [name, value] of Object.entries(options.query ?? {})) appendQuery(url.searchParams, name, value);

  const signals = [AbortSignal.timeout(REQUEST_TIMEOUT_MS)];
  if (options.signal) signals.push(options.signal);
  const init: RequestInit = {
    method: options.method ?? "GET",
    credentials: "same-origin",
    headers: { accept: "application/json" },
    signal: AbortSignal.any(signals),
  };
  if (options.body !== undefined) {
    init.headers = { accept: "application/json", "content-type": "application/json" };
    init.body = JSON.stringify(options.body);
  }

  if (options.text !== undefined) {
    init.headers = { accept: "application/json", "content-type": "application/octet-stream" };
    init.body = options.text;
  }

  let response: Response;
  let text: string;
  try {
    response = await fetch(url, init);
    text = await response.text();
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw new ApiError("unreachable", 0, "The engine does not answer. Is it running?");
  }

  const answer = parseJson(text);
  if (!response.ok) {
    const { message, field } = describeRefusal(response.status, answer);
    throw new ApiError("refused", response.status, message, field);
  }

  const parsed = schema.safeParse(answer);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.join(".") ?? "";
    throw new ApiError(
      "unexpected",
      response.status,
      `The engine's answer to ${url.pathname} is not what this dashboard expects (${where || "body"}: ${issue?.message ?? "invalid"}).`,
    );
  }
  return parsed.data;
}

function appendQuery(params: URLSearchParams, name: string, value: QueryValue): void {
  if (value === null || value === undefined) return;
  if (typeof value === "object") {
    for (const item of value) params.append(name, item);
    return;
  }
  params.append(name, String(value));
}

function parseJson(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function describeRefusal(status: number, answer: unknown): { message: string; field: string | null } {
  const body = errorBodySchema.safeParse(answer);
  const first = body.success ? body.data.errors?.[0] : undefined;
  const description = body.success ? (first?.description ?? body.data.message) : undefined;
  if (description) return { message: description, field: first?.field ?? null };
  if (status >= 502 && status <= 504) return { message: "The engine does not answer. Is it running?", field: null };
  return { message: `The engine refused the request (HTTP ${status}).`, field: null };
}
