/** The first page: what fails, waits and runs, and where the run list went that stood at its address. */
import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { engine, onGet, onPost, refusal, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { metrics, RUN_ID, runList, runRow, TENANT_ID, WORKFLOWS } from "../test/wire";

withEngine();

const RUNS = `/api/v1/stable/tenants/${TENANT_ID}/workflow-runs`;

/** A run for each status that is asked for, with an error if it failed. */
function withRuns(): void {
  engine.use(
    onGet(RUNS, (request: Request) => {
      const status = new URL(request.url).searchParams.get("statuses") ?? "COMPLETED";
      const errorMessage = status === "FAILED" ? "KeyError: 'amount'\nTraceback (most recent call last):\n  …" : undefined;
      return runList([runRow({ status, displayName: `${status.toLowerCase()}-run`, errorMessage })]);
    }),
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/task-metrics`, metrics({ FAILED: 3, QUEUED: 2, RUNNING: 1, COMPLETED: 9 })),
  );
}

test("failures stand there with the first line of their error, and lead to the list of all of them", async () => {
  withRuns();
  renderApp("/?range=7d");
  const failed = await screen.findByRole("region", { name: "Failed" });
  expect(await within(failed).findByRole("link", { name: "failed-run" })).toHaveAttribute("href", `/runs/${RUN_ID}`);
  expect(within(failed).getByText("KeyError: 'amount'")).toBeInTheDocument();
  const all = await within(failed).findByRole("link", { name: /^3 failed: in the list/ });
  expect(all).toHaveAttribute("href", "/runs?window=7d&status=FAILED");
  expect(await within(screen.getByRole("region", { name: "Waiting" })).findByRole("link", { name: "queued-run" })).toBeInTheDocument();
  expect(await within(screen.getByRole("region", { name: "Running now" })).findByRole("link", { name: "running-run" })).toBeInTheDocument();
  const workers = screen.getByRole("region", { name: "Workers" });
  expect(await within(workers).findByRole("img", { name: "worker-a: 1 of 100 slots in use" })).toBeInTheDocument();
});

test("a link to the run list at its old address still leads to the runs that it meant", async () => {
  withRuns();
  const { router } = renderApp("/?status=FAILED&window=7d");
  expect(await screen.findByRole("heading", { name: "Runs", level: 1 })).toBeInTheDocument();
  await waitFor(() => expect(router.state.location.pathname).toBe("/runs"));
  expect(router.state.location.search).toMatchObject({ status: "FAILED", window: "7d" });
});

// The first run ------------------------------------------------------------------------------------------------------

const TOKENS = `/api/v1/tenants/${TENANT_ID}/api-tokens`;
const EXAMPLE = `/api/v1/stable/tenants/${TENANT_ID}/example`;

test("a newcomer makes a token, chooses a language, and copies the code with the version that is tested", async () => {
  const claims = btoa(JSON.stringify({ grpc_broadcast_address: "127.0.0.1:7077", server_url: "http://127.0.0.1:8080" }));
  let made = 0;
  engine.use(
    onPost(TOKENS, () => {
      made += 1;
      return { token: `ey.${claims}.sig` };
    }),
  );
  const { user } = renderApp("/");
  await user.click(await screen.findByRole("button", { name: "Make a token" }));
  const environment = await screen.findByRole("region", { name: "Environment" });
  expect(environment).toHaveTextContent(`export HATCHET_CLIENT_TOKEN=ey.${claims}.sig export HATCHET_CLIENT_HOST_PORT=127.0.0.1:7077`);
  expect(made).toBe(1);
  expect(screen.getByRole("region", { name: "install command" })).toHaveTextContent("pip install hatchet-sdk==1.43.1");
  await user.click(screen.getByRole("tab", { name: "TypeScript" }));
  expect(screen.getByRole("region", { name: "install command" })).toHaveTextContent("npm install @hatchet-dev/typescript-sdk@1.33.2 tsx");
  expect(screen.getByRole("button", { name: "Copy hello.ts" })).toBeInTheDocument();
  expect(screen.getByText(/no example to run with one click here: not here/)).toBeInTheDocument();
});

test("a token that may not be made is refused in words", async () => {
  engine.use(onPost(TOKENS, () => refusal(401, "this needs the role ADMIN")));
  const { user } = renderApp("/");
  await user.click(await screen.findByRole("button", { name: "Make a token" }));
  expect(await screen.findByRole("alert")).toHaveTextContent("this needs the role ADMIN");
});

test("the example is started with one click, and the first run stands there when it comes", async () => {
  let isStarted = false;
  engine.use(
    onGet(EXAMPLE, () => ({ isOffered: true, isRunning: isStarted })),
    onPost(EXAMPLE, () => {
      isStarted = true;
      return { isOffered: true, isRunning: true };
    }),
    onGet(RUNS, () => runList(isStarted ? [runRow({ displayName: "example-1", status: "RUNNING" })] : [])),
  );
  const { user, queryClient } = renderApp("/");
  await user.click(await screen.findByRole("button", { name: "Run an example" }));
  expect(await screen.findByText(/The example is starting/)).toBeInTheDocument();
  // What the live stream does when a run was made.
  await queryClient.invalidateQueries({ queryKey: ["runs"] });
  const first = await screen.findByRole("region", { name: "Your first run" });
  expect(within(first).getByRole("link", { name: "example-1" })).toHaveAttribute("href", `/runs/${RUN_ID}`);
  await user.click(within(first).getByRole("button", { name: "Go to the overview" }));
  expect(await screen.findByRole("heading", { name: "Overview", level: 1 })).toBeInTheDocument();
});

test("the task is run from the page once its worker has told of it", async () => {
  let asked: unknown;
  const rows = [{ ...WORKFLOWS.rows[0], name: "hello" }];
  engine.use(
    onGet(`/api/v1/tenants/${TENANT_ID}/workflows`, { ...WORKFLOWS, rows: [] }),
    onPost(`/api/v1/stable/tenants/${TENANT_ID}/workflow-runs/trigger`, (body) => {
      asked = body;
      return { run: { metadata: { id: RUN_ID } } };
    }),
  );
  const { user, queryClient } = renderApp("/");
  expect(await screen.findByRole("button", { name: "Run hello" })).toBeDisabled();
  engine.use(onGet(`/api/v1/tenants/${TENANT_ID}/workflows`, { ...WORKFLOWS, rows }));
  await queryClient.invalidateQueries({ queryKey: ["workflows"] });
  await waitFor(() => expect(screen.getByRole("button", { name: "Run hello" })).toBeEnabled());
  await user.click(screen.getByRole("button", { name: "Run hello" }));
  await waitFor(() => expect(asked).toMatchObject({ workflowName: "hello", input: {} }));
});
