import { cleanup, screen, waitFor, within } from "@testing-library/react";
import { expect, test, vi } from "vitest";

import { engine, onGet, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { failedRun, metrics, RUN_ID, runList, runRow, TENANT_ID, WORKFLOW_ID, WORKFLOWS } from "../test/wire";

withEngine();

const RUNS = `/api/v1/stable/tenants/${TENANT_ID}/workflow-runs`;
const METRICS = `/api/v1/stable/tenants/${TENANT_ID}/task-metrics`;

test("a run is a row with status, workflow, duration, metadata and a link to its page", async () => {
  engine.use(onGet(RUNS, runList([runRow()])));
  renderApp("/runs");
  const row = (await screen.findByRole("link", { name: "etl-1738314900123" })).closest("tr");
  expect(row).toHaveTextContent("Completed");
  expect(row).toHaveTextContent("2.00 s");
  expect(row).toHaveTextContent("customer: acme");
  expect(within(row as HTMLElement).getByRole("link")).toHaveAttribute("href", `/runs/${RUN_ID}`);
  expect(within(row as HTMLElement).getByRole("cell", { name: "etl" })).toBeInTheDocument();
});

test("the status chips show counts and filter by what is pressed", async () => {
  const asked: string[][] = [];
  engine.use(
    onGet(METRICS, metrics({ COMPLETED: 12, FAILED: 3 })),
    onGet(RUNS, (request: Request) => {
      const statuses = new URL(request.url).searchParams.getAll("statuses");
      asked.push(statuses);
      return runList([runRow(statuses.includes("FAILED") ? { status: "FAILED" } : {})]);
    }),
  );
  const { user, router } = renderApp("/runs");
  const failed = await screen.findByRole("button", { name: "Failed 3" });
  expect(screen.getByRole("button", { name: "Completed 12" })).toHaveAttribute("aria-pressed", "false");
  await user.click(failed);
  expect(await screen.findByText("Failed", { selector: "[data-testid=status]" })).toBeInTheDocument();
  expect(screen.getByRole("button", { name: "Failed 3" })).toHaveAttribute("aria-pressed", "true");
  expect(asked[0]).toEqual([]);
  expect(asked.at(-1)).toEqual(["FAILED"]);
  expect(router.state.location.search).toEqual({ status: "FAILED" });
});

test("more is shown behind a cursor, and a changed time range starts again at the front", async () => {
  const cursors: (string | null)[] = [];
  const second = "0b1d2c3e-0000-4000-8000-00000000000b";
  engine.use(
    onGet(RUNS, (request: Request) => {
      const cursor = new URL(request.url).searchParams.get("cursor");
      cursors.push(cursor);
      if (cursor !== null) return { pagination: {}, rows: [runRow({ taskExternalId: second, workflowRunExternalId: second, displayName: "etl-2" })] };
      return { pagination: { next_cursor: "further" }, rows: [runRow()] };
    }),
  );
  const { user, router } = renderApp("/runs?page=9999");
  await user.click(await screen.findByRole("button", { name: "Show more" }));
  expect(await screen.findByRole("link", { name: "etl-2" })).toBeInTheDocument();
  expect(screen.queryByRole("button", { name: "Show more" })).not.toBeInTheDocument();
  expect(cursors).toEqual([null, "further"]);
  await user.selectOptions(screen.getByRole("combobox", { name: "Time range" }), "7d");
  await waitFor(() => expect(router.state.location.search).toEqual({ window: "7d" }));
});

test("the time range and workflow in the address reach the engine", async () => {
  let asked = new URLSearchParams();
  engine.use(
    onGet(RUNS, (request: Request) => {
      asked = new URL(request.url).searchParams;
      return runList([runRow()]);
    }),
  );
  renderApp(`/runs?window=1h&workflow=${WORKFLOW_ID}`);
  await screen.findByRole("link", { name: "etl-1738314900123" });
  expect(asked.getAll("workflow_ids")).toEqual([WORKFLOW_ID]);
  expect(asked.get("only_tasks")).toBe("false");
  const ageMs = Date.now() - Date.parse(asked.get("since") ?? "");
  expect(ageMs).toBeGreaterThanOrEqual(3_600_000);
  expect(ageMs).toBeLessThan(3_660_000);
});

test("a newcomer without any workflow is led to where a first run is made", async () => {
  engine.use(onGet(`/api/v1/tenants/${TENANT_ID}/workflows`, { ...WORKFLOWS, rows: [] }));
  renderApp("/runs");
  expect(await screen.findByRole("link", { name: "Make a first one" })).toHaveAttribute("href", "/");
});

test("a filter that matches nothing can be taken back", async () => {
  engine.use(
    onGet(RUNS, (request: Request) =>
      runList(new URL(request.url).searchParams.getAll("statuses").length > 0 ? [] : [runRow()]),
    ),
  );
  const { user } = renderApp('/?status=["CANCELLED"]');
  await user.click(await screen.findByRole("button", { name: "Show all runs" }));
  expect(await screen.findByRole("link", { name: "etl-1738314900123" })).toBeInTheDocument();
});

test("what the engine says went wrong is shown, and can be tried again", async () => {
  engine.use(onGet(RUNS, () => refusal(400, "since: give a timestamp")));
  const { user } = renderApp("/runs");
  expect(await screen.findByRole("alert")).toHaveTextContent("since: give a timestamp");
  engine.use(onGet(RUNS, runList([runRow()])));
  await user.click(screen.getByRole("button", { name: "Try again" }));
  expect(await screen.findByRole("link", { name: "etl-1738314900123" })).toBeInTheDocument();
});

test("an answer in a shape we do not know is named, not swallowed", async () => {
  engine.use(onGet(RUNS, runList([runRow({ status: "EXPLODED" })])));
  renderApp("/runs");
  expect(await screen.findByRole("alert")).toHaveTextContent("rows.0.status");
});

function textOf(blob: Blob): Promise<string> {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.readAsText(blob);
  });
}

function listening() {
  const asked: URLSearchParams[] = [];
  engine.use(
    onGet(RUNS, (request: Request) => {
      asked.push(new URL(request.url).searchParams);
      return runList([runRow()]);
    }),
  );
  return () => asked.at(-1) ?? new URLSearchParams();
}

test("what is written in the search box is asked for, stands in the address, and can be taken away", async () => {
  const last = listening();
  const { user, router } = renderApp("/runs");
  const box = await screen.findByRole("combobox", { name: "Search runs" });
  await user.type(box, "status:failed workflow:etl tenant=acme OR tenant=beta orders{Enter}");
  await waitFor(() => expect(last().getAll("statuses")).toEqual(["FAILED"]));
  expect(last().getAll("workflow_names")).toEqual(["etl"]);
  expect(last().getAll("additional_metadata")).toEqual(["tenant:acme", "tenant:beta"]);
  expect(last().get("additional_metadata_operator")).toBeNull();
  expect(last().get("search")).toBe("orders");
  expect(router.state.location.searchStr).toContain("?status=FAILED&workflow=etl&");
  expect(router.state.location.search).toMatchObject({ any: true, text: "orders" });
  await user.click(screen.getByRole("button", { name: "Remove tenant=beta" }));
  await waitFor(() => expect(last().getAll("additional_metadata")).toEqual(["tenant:acme"]));
  expect(box).toHaveValue("status:failed workflow:etl tenant=acme orders");
  router.history.back();
  await waitFor(() => expect(box).toHaveValue("status:failed workflow:etl tenant=acme OR tenant=beta orders"));
});

test("metadata of different keys must all match unless OR stands between", async () => {
  const last = listening();
  renderApp("/runs?metadata=" + encodeURIComponent('["tenant:acme","plan:pro"]'));
  await screen.findByRole("link", { name: "etl-1738314900123" });
  expect(last().get("additional_metadata_operator")).toBe("AND");
  expect(screen.getByRole("combobox", { name: "Search runs" })).toHaveValue("tenant=acme plan=pro");
});

test("a search in payloads says how far it looked, and looks further back", async () => {
  const asked: URLSearchParams[] = [];
  engine.use(
    onGet(RUNS, (request: Request) => {
      const query = new URL(request.url).searchParams;
      asked.push(query);
      const isFurther = query.get("until") !== null;
      const lookedAt = isFurther ? { runs: 7, isCut: false } : { runs: 10_000, isCut: true, oldest: "2025-01-31T09:15:00.000000Z" };
      return { ...runList([runRow()]), lookedAt };
    }),
  );
  const { user, router } = renderApp("/runs?window=30d");
  await user.type(await screen.findByRole("combobox", { name: "Search runs" }), "input:customer.id=acme output:total=3{Enter}");
  const note = await screen.findByText(/Looked into the payloads of the newest 10,000 runs/);
  expect(note).toHaveTextContent(/Older ones may match too/);
  expect(asked.at(-1)?.getAll("input")).toEqual(["customer.id=acme"]);
  expect(asked.at(-1)?.getAll("output")).toEqual(["total=3"]);
  const before = asked.length;
  await user.click(screen.getByRole("button", { name: "Look again" }));
  await waitFor(() => expect(asked.length).toBe(before + 1));
  await user.click(screen.getByRole("button", { name: "Look further back" }));
  expect(await screen.findByText(/payloads of all 7 runs/)).toBeInTheDocument();
  expect(asked.at(-1)?.get("until")).toBe("2025-01-31T09:15:00.000Z");
  expect(router.state.location.search).toMatchObject({ input: "customer.id=acme", to: "2025-01-31T09:15:00.000Z" });
  expect(screen.queryByRole("button", { name: "Look further back" })).not.toBeInTheDocument();
});

test("a mistake in the search box is explained and changes nothing", async () => {
  const last = listening();
  const { user, router } = renderApp("/runs");
  const box = await screen.findByRole("combobox", { name: "Search runs" });
  await user.type(box, "customer:acme{Enter}");
  expect(await screen.findByRole("alert")).toHaveTextContent("For metadata write customer=acme");
  expect(box).toHaveAttribute("aria-invalid", "true");
  expect(router.state.location.search).toEqual({});
  expect(last().get("search")).toBeNull();
});

test("suggestions come from what there is and are taken by keyboard", async () => {
  listening();
  const { user } = renderApp("/runs");
  await screen.findByRole("link", { name: "etl-1738314900123" });
  const box = screen.getByRole("combobox", { name: "Search runs" });
  await user.type(box, "cust");
  expect(await screen.findByRole("option", { name: /customer=/ })).toBeInTheDocument();
  await user.keyboard("{ArrowDown}{Enter}");
  expect(box).toHaveValue("customer=");
  await user.keyboard("{ArrowDown}{Enter}");
  expect(box).toHaveValue("customer=acme ");
  await user.type(box, "et");
  expect(screen.getByRole("option", { name: /workflow:etl/ })).toBeInTheDocument();
  await user.keyboard("{Escape}");
  expect(screen.queryByRole("option", { name: /workflow:etl/ })).not.toBeInTheDocument();
});

test("what has not ended, and what is looked for by its id, is found whenever it was made", async () => {
  const last = listening();
  const { user } = renderApp("/runs?status=RUNNING");
  await screen.findByRole("link", { name: "etl-1738314900123" });
  expect(last().get("since")).toBe("1970-01-01T00:00:00Z");
  expect(screen.getByRole("combobox", { name: "Time range" })).toHaveValue("all");
  await user.click(screen.getByRole("button", { name: "Clear" }));
  await waitFor(() => expect(screen.getByRole("combobox", { name: "Time range" })).toHaveValue("24h"));
});

test("a time range in the address is asked for as it is, and can be set", async () => {
  const last = listening();
  const { user, router } = renderApp("/runs?from=2025-01-31T09:00:00.000Z&to=2025-01-31T10:00:00.000Z");
  await screen.findByRole("link", { name: "etl-1738314900123" });
  expect([last().get("since"), last().get("until")]).toEqual(["2025-01-31T09:00:00.000Z", "2025-01-31T10:00:00.000Z"]);
  await user.selectOptions(screen.getByRole("combobox", { name: "Time range" }), "1h");
  await waitFor(() => expect(router.state.location.search).toEqual({ window: "1h" }));
  await user.selectOptions(screen.getByRole("combobox", { name: "Time range" }), "between");
  const dialog = await screen.findByRole("dialog");
  await user.click(within(dialog).getByRole("button", { name: "Show" }));
  expect(within(dialog).getByRole("alert")).toHaveTextContent("Give at least one");
  await user.type(within(dialog).getByLabelText("From"), "2025-01-31T09:15");
  await user.click(within(dialog).getByRole("button", { name: "Show" }));
  await waitFor(() => expect(router.state.location.search).toEqual({ from: new Date("2025-01-31T09:15").toISOString() }));
});

test("all that match are counted before they are cancelled, by the same filter", async () => {
  let counted = new URLSearchParams();
  let sent: unknown;
  engine.use(
    onGet(RUNS, runList([runRow({ status: "RUNNING" })])),
    onGet(`${RUNS}/count`, (request: Request) => {
      counted = new URL(request.url).searchParams;
      return { count: 1_234 };
    }),
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/tasks/cancel`, (body) => {
      sent = body;
      return { ids: [RUN_ID] };
    }),
  );
  const { user } = renderApp("/runs?metadata=customer:acme&window=7d");
  await user.click(await screen.findByRole("button", { name: "Cancel all that match" }));
  const dialog = await screen.findByRole("dialog");
  expect(await within(dialog).findByText(/1,234 runs that the search finds \(queued, running\)/)).toBeInTheDocument();
  expect(counted.getAll("statuses")).toEqual(["QUEUED", "RUNNING"]);
  await user.click(within(dialog).getByRole("button", { name: "Cancel 1,234" }));
  expect(await screen.findByText("1 cancelled.")).toBeInTheDocument();
  expect(sent).toMatchObject({ filter: { additionalMetadata: ["customer:acme"], statuses: ["QUEUED", "RUNNING"] } });
});

test("nothing can be cancelled among runs that have ended, and an act on none is not sent", async () => {
  engine.use(onGet(RUNS, runList([runRow()])), onGet(`${RUNS}/count`, { count: 0 }));
  const { user } = renderApp("/runs?status=COMPLETED");
  expect(await screen.findByRole("button", { name: "Cancel all that match" })).toBeDisabled();
  await user.click(screen.getByRole("button", { name: "Replay all that match" }));
  expect(await screen.findByText(/No run that matches can be replayed/)).toBeInTheDocument();
  expect(screen.getByRole("button", { name: "Replay 0" })).toBeDisabled();
});

test("a row opens the run in the side panel, whose run is in the address; j, k, Enter and Escape do it by keyboard", async () => {
  const second = "0b1d2c3e-0000-4000-8000-00000000000b";
  engine.use(
    onGet(RUNS, runList([runRow(), runRow({ taskExternalId: second, workflowRunExternalId: second, displayName: "etl-2" })])),
    onGet(`/api/v1/stable/workflow-runs/${RUN_ID}`, failedRun()),
  );
  const { user, router } = renderApp("/runs");
  await user.click((await screen.findAllByTestId("status"))[0] as HTMLElement);
  const panel = await screen.findByRole("complementary", { name: "Run details" });
  expect(await within(panel).findByText('"n"')).toBeInTheDocument();
  expect(router.state.location.search).toEqual({ peek: RUN_ID });
  await user.keyboard("{Escape}");
  await waitFor(() => expect(screen.queryByRole("complementary", { name: "Run details" })).not.toBeInTheDocument());
  await user.keyboard("jj");
  expect(screen.getAllByTestId("run-row")[1]).toHaveFocus();
  await user.keyboard("k{Enter}");
  await waitFor(() => expect(router.state.location.search).toEqual({ peek: RUN_ID }));
  await user.keyboard("j");
  await waitFor(() => expect(router.state.location.search).toEqual({ peek: second }));
  await user.keyboard("x");
  expect(screen.getByRole("checkbox", { name: "Choose etl-2" })).toBeChecked();
});

test("child runs unfold under their run", async () => {
  const child = "0b1d2c3e-0000-4000-8000-00000000000c";
  engine.use(
    onGet(RUNS, (request: Request) => {
      const parent = new URL(request.url).searchParams.get("parent_run_external_id");
      if (parent === null) return runList([runRow({ numSpawnedChildren: 1 })]);
      return runList([runRow({ taskExternalId: child, workflowRunExternalId: child, displayName: "mail-1" })]);
    }),
  );
  const { user } = renderApp("/runs");
  const unfold = await screen.findByRole("button", { name: "1 child run of etl-1738314900123" });
  expect(unfold).toHaveAttribute("aria-expanded", "false");
  await user.click(unfold);
  expect(await screen.findByRole("link", { name: "mail-1" })).toHaveAttribute("href", `/runs/${child}`);
});

test("columns are chosen, of metadata as well, and remembered", async () => {
  listening();
  const { user } = renderApp("/runs");
  await user.click(await screen.findByRole("button", { name: "Columns…" }));
  await user.click(await screen.findByRole("checkbox", { name: "customer" }));
  await user.click(screen.getByRole("checkbox", { name: "Workflow" }));
  await user.click(screen.getByRole("button", { name: "Done" }));
  expect(screen.getByRole("columnheader", { name: "customer" })).toBeInTheDocument();
  expect(screen.queryByRole("columnheader", { name: "Workflow" })).not.toBeInTheDocument();
  cleanup();
  renderApp("/runs");
  expect(await screen.findByRole("columnheader", { name: "customer" })).toBeInTheDocument();
});

test("a view is saved with its search, opened again and forgotten", async () => {
  listening();
  const { user, router } = renderApp("/runs?status=FAILED&window=7d");
  await user.click(await screen.findByRole("button", { name: "Save view…" }));
  await user.click(screen.getByRole("button", { name: "Save" }));
  expect(screen.getByRole("alert")).toHaveTextContent("Give the view a name.");
  await user.type(screen.getByLabelText("Name"), "Failures");
  await user.click(screen.getByRole("button", { name: "Save" }));
  await user.click(await screen.findByRole("button", { name: "Clear" }));
  expect(screen.getByRole("combobox", { name: "Saved view" })).toHaveValue("");
  await user.selectOptions(screen.getByRole("combobox", { name: "Saved view" }), "Failures");
  await waitFor(() => expect(router.state.location.search).toMatchObject({ status: "FAILED", window: "7d" }));
  await user.click(screen.getByRole("button", { name: "Forget view Failures" }));
  await user.click(screen.getByRole("button", { name: "Forget it" }));
  expect(screen.queryByRole("combobox", { name: "Saved view" })).not.toBeInTheDocument();
});

test("rows shown are put in another order, and the oldest first is asked of the engine", async () => {
  const rows = [
    runRow({ displayName: "short", taskExternalId: "0b1d2c3e-0000-4000-8000-00000000000d", duration: 10 }),
    runRow({ displayName: "long", taskExternalId: "0b1d2c3e-0000-4000-8000-00000000000e", duration: 90 }),
  ];
  let last = new URLSearchParams();
  engine.use(
    onGet(RUNS, (request: Request) => {
      last = new URL(request.url).searchParams;
      return runList(rows);
    }),
  );
  const { user } = renderApp("/runs");
  await screen.findByRole("link", { name: "short" });
  await user.selectOptions(screen.getByRole("combobox", { name: "Order" }), "longest");
  await waitFor(() => expect(screen.getAllByTestId("run-row")[0]).toHaveTextContent("long"));
  await user.selectOptions(screen.getByRole("combobox", { name: "Order" }), "oldest");
  await waitFor(() => expect(last.get("order_by_direction")).toBe("ASC"));
});

test("tasks are listed one by one when asked for", async () => {
  const last = listening();
  const { user, router } = renderApp("/runs");
  await user.click(await screen.findByRole("checkbox", { name: /Tasks, those of DAGs/ }));
  await waitFor(() => expect(last().get("only_tasks")).toBe("true"));
  expect(router.state.location.search).toEqual({ tasks: true });
});

test("an export reads the list to its end", async () => {
  const made: Blob[] = [];
  vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: (blob: Blob) => (made.push(blob), "blob:x"), revokeObjectURL: () => undefined }));
  engine.use(
    onGet(RUNS, (request: Request) => {
      const cursor = new URL(request.url).searchParams.get("cursor");
      if (cursor === "further") return { pagination: {}, rows: [runRow({ displayName: "=1+1", errorMessage: 'a "b"\nc' })] };
      return { pagination: { next_cursor: "further" }, rows: [runRow()] };
    }),
  );
  const { user } = renderApp("/runs");
  await user.click(await screen.findByRole("button", { name: "Export…" }));
  await user.click(screen.getByRole("button", { name: "Export" }));
  expect(await screen.findByText("2 exported.")).toBeInTheDocument();
  const lines = (await textOf(made[0] as Blob)).split("\r\n");
  expect(lines[0]).toContain("id,run,name,status,workflow,created");
  expect(lines[0]).toContain("metadata.customer");
  expect(lines[1]).toContain("etl-1738314900123,COMPLETED,etl,2025-01-31T09:15:00.123Z");
  expect(lines[2]).toContain("'=1+1");
  expect(lines[2]).toContain('"a ""b""\nc"');
});

test("workers and workflows have their lists", async () => {
  const { user } = renderApp("/workers");
  const worker = (await screen.findByRole("rowheader", { name: /worker-a/ })).closest("tr");
  expect(worker).toHaveTextContent("1 of 100 default");
  expect(worker).toHaveTextContent("Python 3.11.9 · SDK 1.43.1");
  await user.click(screen.getByRole("link", { name: "Workflows" }));
  expect(await screen.findByRole("rowheader", { name: /etl\s*Paused/ })).toBeInTheDocument();
  expect(screen.getByRole("link", { name: "Runs of etl" })).toHaveAttribute("href", `/runs?workflow=${WORKFLOW_ID}`);
});
