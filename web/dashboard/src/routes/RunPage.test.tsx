import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { tellChanges } from "../test/changes";
import { engine, onGet, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { EXTRACT_ID, failedRun, liveRun, LOAD_ID, LOGS, RUN_ID, taskRow, TENANT_ID } from "../test/wire";

withEngine();

const RUN = `/api/v1/stable/workflow-runs/${RUN_ID}`;

test("a run shows its name, status, steps, input and the error of what failed", async () => {
  engine.use(onGet(RUN, failedRun()));
  renderApp(`/runs/${RUN_ID}`);
  expect(await screen.findByRole("heading", { level: 1, name: "etl-1738314900123" })).toBeInTheDocument();
  const tasks = screen.getByRole("table", { name: "Tasks" });
  expect(within(tasks).getByRole("row", { name: /extract/ })).toHaveTextContent("Completed");
  expect(within(tasks).getByRole("row", { name: /load/ })).toHaveTextContent("Failed");
  expect(screen.getByRole("region", { name: "Run input" })).toHaveTextContent('{ "n": 1 }');
  const panel = screen.getByRole("region", { name: "Task load" });
  expect(within(panel).getByRole("region", { name: "Error" })).toHaveTextContent("ValueError: no such table");
});

test("the graph has one card for each step, and choosing one opens its task", async () => {
  engine.use(onGet(RUN, failedRun()));
  const { user, router } = renderApp(`/runs/${RUN_ID}`);
  const graph = await screen.findByTestId("run-graph");
  expect(within(graph).getAllByTestId("step-card").map((card) => card.dataset["status"])).toEqual(["COMPLETED", "FAILED"]);
  // A node stays invisible until the browser has measured it, which jsdom cannot; it is there all the same.
  await user.click(within(graph).getByRole("button", { name: /extract/, hidden: true }));
  const panel = await screen.findByRole("region", { name: "Task extract" });
  expect(within(panel).getByRole("region", { name: "Output" })).toHaveTextContent('"rows": 42');
  expect(router.state.location.search).toEqual({ task: EXTRACT_ID });
});

test("what a run says of itself is shown, also when it says something else", async () => {
  const value = (name: string, said: unknown, isShown = true) => ({ name, value: said, isShown });
  let rows = [value("progress", { done: 1 }), value("report", undefined, false)];
  engine.use(
    onGet(RUN, liveRun()),
    onGet(`${RUN}/values`, () => ({ pagination: {}, rows })),
  );
  const { user } = renderApp(`/runs/${RUN_ID}`);
  await user.click(await screen.findByRole("tab", { name: "Values" }));
  const data = screen.getByRole("region", { name: "Run data" });
  expect(await within(data).findByRole("region", { name: "Run values" })).toHaveTextContent('"done": 1');
  expect(data).toHaveTextContent(/Too large to be shown here.*report/);
  rows = [value("progress", { done: 2 })];
  tellChanges({ kinds: ["runs"], ids: [RUN_ID] });
  await waitFor(() => expect(data).toHaveTextContent('"done": 2'));
  rows = [];
  tellChanges({ kinds: ["runs"], ids: [RUN_ID] });
  expect(await within(data).findByText("This run has said nothing of itself.")).toBeInTheDocument();
});

test("events are newest first, with times relative to the first", async () => {
  engine.use(onGet(RUN, failedRun()));
  const { user } = renderApp(`/runs/${RUN_ID}?task=${EXTRACT_ID}`);
  const panel = await screen.findByRole("region", { name: "Task extract" });
  await user.click(within(panel).getByRole("tab", { name: /Events/ }));
  const events = within(panel).getAllByTestId("event");
  expect(events.map((event) => event.textContent)).toEqual(["Finished+1.09 s", "Started+99 ms", "Queued+0 ms"]);
});

test("logs are shown oldest first with their level", async () => {
  engine.use(onGet(RUN, failedRun()), onGet(`/api/v1/stable/tenants/${TENANT_ID}/logs`, LOGS));
  const { user } = renderApp(`/runs/${RUN_ID}?task=${EXTRACT_ID}`);
  const panel = await screen.findByRole("region", { name: "Task extract" });
  await user.click(within(panel).getByRole("tab", { name: "Logs" }));
  const log = await within(panel).findByRole("log");
  expect(log.textContent).toMatch(/INFOfirst line.*WARNsecond line/s);
});

test("an earlier attempt can be looked at", async () => {
  engine.use(
    onGet(RUN, failedRun()),
    onGet(`/api/v1/stable/tasks/${LOAD_ID}`, (request: Request) =>
      taskRow({ taskExternalId: LOAD_ID, status: "FAILED", errorMessage: `attempt ${new URL(request.url).searchParams.get("attempt")} broke` }),
    ),
  );
  const { user } = renderApp(`/runs/${RUN_ID}`);
  await user.selectOptions(await screen.findByRole("combobox", { name: "Attempt" }), "1");
  expect(await screen.findByText("attempt 1 broke")).toBeInTheDocument();
});

test("a live run can be cancelled and not replayed, and the page follows it to its end", async () => {
  let cancelled: unknown;
  engine.use(
    onGet(RUN, () => (cancelled === undefined ? liveRun() : failedRun())),
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/tasks/cancel`, (body) => {
      cancelled = body;
      return { ids: [RUN_ID] };
    }),
  );
  const { user } = renderApp(`/runs/${RUN_ID}`);
  const cancel = await screen.findByRole("button", { name: "Cancel" });
  expect(screen.getByRole("button", { name: "Replay" })).toBeDisabled();
  await user.click(cancel);
  expect(cancelled).toBeUndefined();
  await user.click(screen.getByRole("button", { name: "Cancel it" }));
  await waitFor(() => expect(screen.getByRole("button", { name: "Replay" })).toBeEnabled());
  expect(cancelled).toEqual({ externalIds: [RUN_ID] });
  expect(screen.getByRole("button", { name: "Cancel" })).toBeDisabled();
});

test("a run notices by itself that it has finished", async () => {
  let asked = 0;
  engine.use(onGet(RUN, () => (++asked < 2 ? liveRun() : failedRun())));
  renderApp(`/runs/${RUN_ID}`);
  await screen.findByRole("heading", { level: 1 });
  tellChanges({ kinds: [] });
  tellChanges({ kinds: ["runs"], ids: [RUN_ID] });
  await waitFor(() => expect(screen.getByRole("button", { name: "Replay" })).toBeEnabled());
});

test("a refused action says why", async () => {
  engine.use(
    onGet(RUN, failedRun()),
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/tasks/replay`, () => refusal(401, "a viewer may not replay")),
  );
  const { user } = renderApp(`/runs/${RUN_ID}`);
  await user.click(await screen.findByRole("button", { name: "Replay" }));
  expect(await screen.findByRole("dialog", { name: "Replay this run?" })).toHaveTextContent("All its 2 tasks run again");
  await user.click(screen.getByRole("button", { name: "Replay 2 tasks" }));
  expect(await screen.findByRole("alert")).toHaveTextContent("a viewer may not replay");
});

test("a task's id leads to the run it belongs to, with the task open", async () => {
  engine.use(onGet(RUN, failedRun()), onGet(`/api/v1/stable/tasks/${EXTRACT_ID}`, taskRow()));
  const { router } = renderApp(`/runs/${EXTRACT_ID}`);
  expect(await screen.findByRole("region", { name: "Task extract" })).toBeInTheDocument();
  expect(router.state.location.href).toBe(`/runs/${RUN_ID}?task=${EXTRACT_ID}`);
});

test.each([404, 400])("an id that belongs to nothing (%i) is said to", async (status) => {
  engine.use(
    onGet("/api/v1/stable/workflow-runs/:id", () => refusal(status, "no")),
    onGet("/api/v1/stable/tasks/:id", () => refusal(status, "no")),
  );
  renderApp("/runs/nothing");
  expect(await screen.findByRole("heading", { name: "There is no such run" })).toBeInTheDocument();
});

test("an engine that fails is not mistaken for a run that is missing", async () => {
  engine.use(onGet(RUN, () => refusal(403, "this run belongs to another tenant")));
  renderApp(`/runs/${RUN_ID}`);
  expect(await screen.findByRole("alert")).toHaveTextContent("this run belongs to another tenant");
});
