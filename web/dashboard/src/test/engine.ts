/** An engine for page tests: answers on the network level, so that everything above the wire is the real thing. */
import { http, HttpResponse, type JsonBodyType } from "msw";
import { setupServer } from "msw/node";
import { afterAll, afterEach, beforeAll } from "vitest";

import { MEMBERSHIPS, META_OPEN, metrics, runFacts, runList, TENANT_ID, WORKERS, WORKFLOWS } from "./wire";

const json = (body: unknown, status = 200) => HttpResponse.json(body as JsonBodyType, { status });

export function refusal(status: number, description: string, field?: string) {
  return json({ errors: [{ description, field }], message: description }, status);
}

/** Answers `GET path` with a body, or with what a function makes of the request. */
export function onGet(path: string, answer: unknown) {
  return http.get(path, async ({ request }) => {
    const body: unknown = typeof answer === "function" ? await (answer as (request: Request) => unknown)(request) : answer;
    return body instanceof Response ? body : json(body);
  });
}

export function onPost(path: string, answer: (body: unknown) => unknown) {
  return http.post(path, async ({ request }) => {
    const text = await request.text();
    const answered = answer(text === "" ? undefined : JSON.parse(text));
    return answered instanceof Response ? answered : json(answered);
  });
}

function onBody(method: "patch" | "put" | "delete", path: string, answer: (body: unknown, request: Request) => unknown) {
  return http[method](path, async ({ request }) => {
    const text = await request.text();
    const answered = answer(text === "" ? undefined : JSON.parse(text), request);
    return answered instanceof Response ? answered : json(answered);
  });
}

export function onPatch(path: string, answer: (body: unknown, request: Request) => unknown) {
  return onBody("patch", path, answer);
}

export function onPut(path: string, answer: (body: unknown, request: Request) => unknown) {
  return onBody("put", path, answer);
}

export function onDelete(path: string, answer: (body: unknown, request: Request) => unknown) {
  return onBody("delete", path, answer);
}

/** An engine in development mode with nothing in it; a test adds what it needs with `engine.use(...)`. */
export const engine = setupServer(
  onGet("/api/v1/meta", META_OPEN),
  onGet("/api/v1/stable/openid/providers", { rows: [] }),
  onGet("/api/v1/version", { version: "v0.1.0" }),
  onGet("/api/v1/users/memberships", MEMBERSHIPS),
  onGet(`/api/v1/tenants/${TENANT_ID}/workflows`, WORKFLOWS),
  onGet(`/api/v1/stable/tenants/${TENANT_ID}/last-runs`, { rows: [] }),
  onGet(`/api/v1/tenants/${TENANT_ID}/worker`, WORKERS),
  onGet(`/api/v1/stable/tenants/${TENANT_ID}/workflow-runs`, runList([])),
  onGet(`/api/v1/stable/tenants/${TENANT_ID}/task-metrics`, metrics({})),
  onGet(`/api/v1/stable/tenants/${TENANT_ID}/load`, { widthS: 60, results: [] }),
  onGet(`/api/v1/stable/tenants/${TENANT_ID}/log-point-metrics`, { results: [] }),
  onGet("/api/v1/users/invites", { rows: [] }),
  onGet("/api/v1/stable/workers/:id/load", { widthS: 60, results: [] }),
  onGet(`/api/v1/stable/tenants/${TENANT_ID}/example`, { isOffered: false, isRunning: false, problem: "not here" }),
  onGet("/api/v1/stable/workflow-runs/:id", () => refusal(404, "run not found")),
  onGet("/api/v1/stable/tasks/:id/waiting", { rows: [] }),
  onGet("/api/v1/stable/workflow-runs/:id/facts", runFacts()),
  onGet("/api/v1/stable/tasks/:id", () => refusal(404, "task not found")),
);

/** Call at the top of a test file. A request no handler knows fails the test that made it. */
export function withEngine(): void {
  beforeAll(() => engine.listen({ onUnhandledRequest: "error" }));
  afterEach(() => engine.resetHandlers());
  afterAll(() => engine.close());
}
