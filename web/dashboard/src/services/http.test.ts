import { http, HttpResponse } from "msw";
import { expect, test } from "vitest";
import { z } from "zod";

import { engine, onGet, refusal, withEngine } from "../test/engine";
import { ApiError, request } from "./http";

withEngine();

const schema = z.object({ n: z.int() });

async function failureOf(path: string): Promise<ApiError> {
  const failure: unknown = await request(schema, path).then(
    () => null,
    (error: unknown) => error,
  );
  if (failure instanceof ApiError) return failure;
  throw new Error(`expected an ApiError, got ${String(failure)}`);
}

test("arrays are repeated keys; what is absent is not sent", async () => {
  let asked = "";
  engine.use(
    onGet("/api/x", (call: Request) => {
      asked = new URL(call.url).search;
      return { n: 1 };
    }),
  );
  const query = { statuses: ["A", "B"], none: null, missing: undefined, empty: [], flag: false, limit: 0 };
  expect(await request(schema, "/api/x", { query })).toEqual({ n: 1 });
  expect(asked).toBe("?statuses=A&statuses=B&flag=false&limit=0");
});

test("a refusal carries its status and the engine's own words", async () => {
  engine.use(onGet("/api/x", () => refusal(401, "only an owner may do this")));
  expect(await failureOf("/api/x")).toMatchObject({ kind: "refused", status: 401, message: "only an owner may do this" });
});

test("a refusal without words still says what happened", async () => {
  engine.use(http.get("/api/x", () => new HttpResponse("<html>", { status: 418 })));
  expect((await failureOf("/api/x")).message).toBe("The engine refused the request (HTTP 418).");
});

test("no answer is not an unexpected answer", async () => {
  engine.use(http.get("/api/x", () => HttpResponse.error()));
  expect(await failureOf("/api/x")).toMatchObject({ kind: "unreachable", status: 0 });
});

test.each([[{ n: 1.5 }], [{}], [null]])("an answer of another shape is refused: %j", async (body) => {
  engine.use(http.get("/api/x", () => HttpResponse.json(body)));
  expect(await failureOf("/api/x")).toMatchObject({ kind: "unexpected" });
});

test("an answer that is not JSON is refused", async () => {
  engine.use(http.get("/api/x", () => HttpResponse.html("<!doctype html>")));
  expect((await failureOf("/api/x")).message).toMatch("/api/x is not what this dashboard expects");
});
