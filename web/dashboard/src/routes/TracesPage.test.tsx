/** The list of traces and one of them. */
import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { engine, onGet, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { RUN_ID, TENANT_ID } from "../test/wire";

withEngine();

const LIST = `/api/v1/stable/tenants/${TENANT_ID}/trace-summaries`;
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

test("traces are searched by name, service, errors and length, and lead to their run and their spans", async () => {
  let asked = new URLSearchParams();
  engine.use(
    onGet(LIST, (request: Request) => {
      asked = new URL(request.url).searchParams;
      const row = {
        traceId: TRACE,
        name: "POST /order",
        serviceNames: ["bank", "shop"],
        spans: 12,
        errors: 1,
        startedAt: "2025-01-31T09:15:00Z",
        durationMs: 91,
        runExternalId: RUN_ID,
      };
      return { rows: asked.get("status") === "ERROR" ? [] : [row], pagination: {} };
    }),
  );
  const { user, router } = renderApp("/traces?service=shop");
  expect(await screen.findByRole("link", { name: "POST /order" })).toHaveAttribute("href", `/traces/${TRACE}`);
  expect(screen.getByRole("link", { name: "Run of POST /order" })).toHaveAttribute("href", `/runs/${RUN_ID}`);
  expect(screen.getByRole("cell", { name: /12 ?, 1 with an error/ })).toBeInTheDocument();
  expect(asked.get("service")).toBe("shop");
  await user.selectOptions(screen.getByRole("combobox", { name: "Least duration" }), "100");
  await waitFor(() => expect(asked.get("minDurationMs")).toBe("100"));
  await user.click(screen.getByRole("button", { name: "With errors" }));
  expect(await screen.findByText("No trace matches this filter")).toBeInTheDocument();
  expect(router.state.location.search).toEqual({ service: "shop", failed: true, least: 100 });
});

test("a trace's spans stand below their parents, and a chosen one shows what it says", async () => {
  const span = (spanId: string, parentSpanId: string | undefined, changes = {}) => ({
    traceId: TRACE,
    spanId,
    parentSpanId,
    spanName: spanId,
    serviceName: "shop",
    statusCode: "OK",
    durationNs: 5_000_000,
    createdAt: "2025-01-31T09:15:00.000000Z",
    retryCount: 0,
    ...changes,
  });
  engine.use(
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/traces/${TRACE}`, {
      rows: [
        span("charge", "order", { statusCode: "ERROR", statusMessage: "card refused", spanAttributes: { "card.kind": "gift" } }),
        span("order", undefined, { durationNs: 91_000_000, spanAttributes: { "hatchet.workflow_run_id": RUN_ID } }),
      ],
    }),
  );
  const { user } = renderApp(`/traces/${TRACE}`);
  expect(await screen.findByRole("heading", { level: 1, name: "order" })).toBeInTheDocument();
  expect(screen.getByRole("link", { name: "Its run" })).toHaveAttribute("href", `/runs/${RUN_ID}`);
  const spans = within(screen.getByRole("table", { name: "Spans" })).getAllByTestId("span-row");
  expect(spans.map((one) => one.textContent)).toEqual(["ordershopSpan91 ms", "chargeshopError5 ms"]);
  expect(screen.getByRole("img", { name: "charge of shop took 5 ms: card refused" })).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: /charge/ }));
  expect(screen.getByText("card refused")).toBeInTheDocument();
  expect(screen.getByText("gift")).toBeInTheDocument();
});

test("a trace that is not there says so", async () => {
  engine.use(onGet(`/api/v1/stable/tenants/${TENANT_ID}/traces/nothing`, () => refusal(400, "a trace id has 32 hex digits")));
  renderApp("/traces/nothing");
  expect(await screen.findByRole("heading", { name: "There is no such trace" })).toBeInTheDocument();
});
