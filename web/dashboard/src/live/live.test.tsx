import { screen, waitFor } from "@testing-library/react";
import { expect, test, vi } from "vitest";

import { loseConnections, openConnections, tellChanges } from "../test/changes";
import { engine, onGet, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { EXTRACT_ID, failedRun, liveRun, RUN_ID, TENANT_ID, WORKER_ID } from "../test/wire";

withEngine();

const RUN = `/api/v1/stable/workflow-runs/${RUN_ID}`;

/** Counts what a page asks the engine for, by path. */
function countRequests(): () => number {
  let asked = 0;
  engine.events.on("request:start", () => (asked += 1));
  return () => asked;
}

async function openRun(details: unknown): Promise<() => number> {
  const asked = vi.fn(() => details);
  engine.use(onGet(RUN, asked));
  renderApp(`/runs/${RUN_ID}`);
  await screen.findByRole("heading", { level: 1, name: /etl/ });
  return () => asked.mock.calls.length;
}

test("a page is asked for again when one of its tasks changed, and not when others did", async () => {
  const asked = await openRun(liveRun());
  tellChanges({ kinds: [] });
  tellChanges({ kinds: ["runs"], ids: ["another"] });
  expect(asked()).toBe(1);
  tellChanges({ kinds: ["runs"], ids: [EXTRACT_ID] });
  await waitFor(() => expect(asked()).toBe(2));
});

test("a finished run is asked for once, whatever else happens in the tenant", async () => {
  const asked = await openRun(failedRun());
  tellChanges({ kinds: ["runs", "workers"] });
  tellChanges({ kinds: ["runs"], ids: ["another"] });
  tellChanges({ kinds: ["workers"] });
  expect(asked()).toBe(1);
});

test("an open page asks for nothing while nothing changes, and a heartbeat is no change", async () => {
  renderApp("/workers");
  await screen.findByRole("heading", { level: 1, name: "Workers" });
  await screen.findByText("worker-a");
  tellChanges({ kinds: [] });
  const asked = countRequests();
  const heard = new Date().toISOString();
  tellChanges({ kinds: [], heartbeats: { [WORKER_ID]: heard } });
  expect(await screen.findByTitle(new RegExp(heard.slice(0, 10)))).toBeInTheDocument();
  expect(asked()).toBe(0);
});

test("when the engine comes back everything on the page is asked for again", async () => {
  const asked = await openRun(liveRun());
  tellChanges({ kinds: [] });
  loseConnections(true);
  loseConnections(true);
  expect(screen.getByText(/The engine does not answer/)).toBeInTheDocument();
  tellChanges({ kinds: [] });
  await waitFor(() => expect(asked()).toBe(2));
  expect(screen.queryByText(/The engine does not answer/)).not.toBeInTheDocument();
});

test("a page that is out of sight holds no connection", async () => {
  await openRun(liveRun());
  expect(openConnections().map((connection) => connection.url)).toEqual([`/api/v1/stable/tenants/${TENANT_ID}/changes`]);
  const visibility = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
  document.dispatchEvent(new Event("visibilitychange"));
  expect(openConnections()).toEqual([]);
  visibility.mockReturnValue("visible");
  document.dispatchEvent(new Event("visibilitychange"));
  expect(openConnections()).toHaveLength(1);
  visibility.mockRestore();
});

test("what changes while an answer is on its way is asked for after it", async () => {
  let release = (): void => undefined;
  let asked = 0;
  engine.use(
    onGet(RUN, async () => {
      asked += 1;
      if (asked === 2) await new Promise<void>((resolve) => (release = resolve));
      return new Response(JSON.stringify(liveRun()), { headers: { "content-type": "application/json" } });
    }),
  );
  renderApp(`/runs/${RUN_ID}`);
  await screen.findByRole("heading", { level: 1, name: /etl/ });
  tellChanges({ kinds: ["runs"], ids: [RUN_ID] });
  await waitFor(() => expect(asked).toBe(2));
  tellChanges({ kinds: ["runs"], ids: [RUN_ID] });
  expect(asked).toBe(2);
  release();
  await waitFor(() => expect(asked).toBe(3));
});

test("what changes while the first answer is on its way is asked for once that has come", async () => {
  let release = (): void => undefined;
  let asked = 0;
  engine.use(
    onGet(RUN, async () => {
      asked += 1;
      const answer = asked === 1 ? liveRun() : failedRun();
      if (asked === 1) await new Promise<void>((resolve) => (release = resolve));
      return new Response(JSON.stringify(answer), { headers: { "content-type": "application/json" } });
    }),
  );
  renderApp(`/runs/${RUN_ID}`);
  await waitFor(() => expect(asked).toBe(1));
  tellChanges({ kinds: ["runs"], ids: [RUN_ID] });
  expect(asked).toBe(1);
  release();
  expect(await screen.findByText(/no such table/, undefined, { timeout: 10_000 })).toBeInTheDocument();
  expect(asked).toBe(2);
});

test("a change during an answer that takes long is asked for once that has come, however many others come meanwhile", async () => {
  const releases: (() => void)[] = [];
  engine.use(
    onGet(RUN, async () => {
      const answer = releases.length < 2 ? liveRun() : failedRun();
      await new Promise<void>((resolve) => releases.push(resolve));
      return new Response(JSON.stringify(answer), { headers: { "content-type": "application/json" } });
    }),
  );
  renderApp(`/runs/${RUN_ID}`);
  await waitFor(() => expect(releases).toHaveLength(1));
  vi.useFakeTimers({ shouldAdvanceTime: true });
  try {
    tellChanges({ kinds: ["runs"], ids: [RUN_ID] });
    await vi.advanceTimersByTimeAsync(60_000);
    releases[0]?.();
    await waitFor(() => expect(releases).toHaveLength(2));
    for (let second = 0; second < 30; second += 1) {
      tellChanges({ kinds: ["runs"], ids: [RUN_ID] });
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(releases).toHaveLength(2);
    releases[1]?.();
    await waitFor(() => expect(releases).toHaveLength(3));
    releases[2]?.();
    expect(await screen.findByText(/no such table/)).toBeInTheDocument();
    expect(releases).toHaveLength(3);
  } finally {
    vi.useRealTimers();
  }
});

test("a page that was out of sight before it was told anything reads everything again", async () => {
  const asked = await openRun(liveRun());
  const visibility = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
  document.dispatchEvent(new Event("visibilitychange"));
  visibility.mockReturnValue("visible");
  document.dispatchEvent(new Event("visibilitychange"));
  tellChanges({ kinds: [] });
  await waitFor(() => expect(asked()).toBe(2));
  visibility.mockRestore();
});

test("a page that was told too late what changed while it was loading reads everything again", async () => {
  const asked = await openRun(liveRun());
  const later = vi.spyOn(performance, "now").mockReturnValue(performance.now() + 9_000);
  tellChanges({ kinds: [] });
  await waitFor(() => expect(asked()).toBe(2));
  later.mockRestore();
});
