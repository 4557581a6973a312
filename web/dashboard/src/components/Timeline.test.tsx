import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test, vi } from "vitest";

import type { Step } from "../graph/steps";
import { engine, onGet, withEngine } from "../test/engine";
import { aDetails, anEvent, aTask } from "../test/factories";
import { TENANT_ID } from "../test/wire";
import { Timeline } from "./Timeline";

withEngine();

const first = aTask({ taskExternalId: "t1", status: "COMPLETED", createdAt: 0, startedAt: 1_000, finishedAt: 5_000, duration: 4_000 });
const second = aTask({ taskExternalId: "t2", status: "FAILED", createdAt: 5_000, startedAt: 5_000, finishedAt: 10_000, duration: 5_000 });
const steps: readonly Step[] = [
  { id: "s1", name: "extract", childIds: ["s2"], task: first, status: "COMPLETED" },
  { id: "s2", name: "load", childIds: [], task: second, status: "FAILED" },
  { id: "s3", name: "report", childIds: [], task: null, status: "PENDING" },
];

function draw(changes: Partial<Parameters<typeof Timeline>[0]> = {}) {
  const onChoose = vi.fn();
  const onRound = vi.fn();
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Timeline
        tenantId={TENANT_ID}
        details={aDetails({ tasks: [first, second] })}
        steps={steps}
        chosenId={null}
        onChoose={onChoose}
        round={null}
        onRound={onRound}
        {...changes}
      />
    </QueryClientProvider>,
  );
  return { user: userEvent.setup(), onChoose, onRound };
}

test("bars stand on one common axis and are described in words", () => {
  draw();
  const bars = screen.getByRole("img", { name: "extract was in the queue 1.00 s, ran 4.00 s" });
  expect([...bars.querySelectorAll("span")].map((bar) => bar.style.left)).toEqual(["0%", "10%"]);
  const failed = screen.getByRole("img", { name: "load failed after 5.00 s" });
  expect(failed.querySelector("span")?.style.left).toBe("50%");
  expect(screen.getByRole("img", { name: "report did not run here" })).toBeInTheDocument();
});

test("a task is chosen by its name; a step without a task cannot be", async () => {
  const { user, onChoose } = draw({ chosenId: "s1" });
  expect(screen.getByRole("button", { name: "extract" })).toHaveAttribute("aria-pressed", "true");
  await user.click(screen.getByRole("button", { name: "load" }));
  expect(onChoose).toHaveBeenCalledWith("s2");
  expect(within(screen.getByRole("row", { name: /report/ })).queryByRole("button")).not.toBeInTheDocument();
});

test("zooming in shows the middle, and there is a way back", async () => {
  const { user } = draw();
  await user.click(screen.getByRole("button", { name: "Zoom in" }));
  // From 2.5 s to 7.5 s: the second task began in the middle.
  expect(screen.getByRole("img", { name: /^load/ }).querySelector("span")?.style.left).toBe("50%");
  expect(screen.getByText("7.50 s")).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "The whole time" }));
  expect(screen.getByText("10.0 s")).toBeInTheDocument();
});

test("a replay is shown by itself, and what was before it can be chosen", async () => {
  const events = [
    { ...anEvent("STARTED", 1_000), taskId: "t2" },
    { ...anEvent("FAILED", 2_000), taskId: "t2" },
    { ...anEvent("RETRIED_BY_USER", 500_000), taskId: "t2" },
    { ...anEvent("QUEUED", 500_000), taskId: "t2" },
    { ...anEvent("STARTED", 501_000), taskId: "t2" },
    { ...anEvent("FINISHED", 502_000), taskId: "t2" },
  ];
  const { user, onRound } = draw({ details: aDetails({ tasks: [first, second], taskEvents: events }) });
  expect(screen.getByRole("img", { name: "load was in the queue 1.00 s, ran 1.00 s" })).toBeInTheDocument();
  expect(screen.getByText("2.00 s", { selector: ".tabular-nums" })).toBeInTheDocument();
  await user.selectOptions(screen.getByRole("combobox", { name: "Replay" }), "0");
  expect(onRound).toHaveBeenCalledWith(0);
});

test("spans unfold below their tasks when they are asked for", async () => {
  const span = (spanId: string, parentSpanId: string, changes: object) => ({
    traceId: "t",
    spanId,
    parentSpanId,
    spanName: spanId,
    serviceName: "shop",
    statusCode: "OK",
    durationNs: 1_000_000_000,
    createdAt: new Date(2_000).toISOString(),
    ...changes,
  });
  engine.use(
    onGet(`/api/v1/stable/tenants/${TENANT_ID}/traces`, {
      rows: [
        span("attempt", "run", { spanName: "hatchet.engine.start_step_run", spanAttributes: { "hatchet.step_run_id": "t1" } }),
        span("GET /rates", "attempt", { statusCode: "ERROR", statusMessage: "503" }),
      ],
    }),
  );
  const { user } = draw();
  await user.click(screen.getByRole("button", { name: "Spans" }));
  const row = await screen.findByTestId("span-row");
  expect(row).toHaveTextContent("GET /rates");
  expect(within(row).getByRole("img")).toHaveAccessibleName("GET /rates of shop took 1.00 s: 503");
  await user.click(within(row).getByRole("button", { name: /GET \/rates/ }));
  expect(screen.getByText("503")).toBeInTheDocument();
});

test("of five hundred tasks only those in sight are drawn", () => {
  vi.spyOn(Element.prototype, "clientHeight", "get").mockReturnValue(600);
  vi.spyOn(Element.prototype, "clientWidth", "get").mockReturnValue(600);
  const many = Array.from({ length: 500 }, (_, index): Step => {
    const task = aTask({ taskExternalId: `t${index}`, status: "COMPLETED", startedAt: 1_200, finishedAt: 2_000 });
    return { id: `s${index}`, name: `task ${index}`, childIds: [], task, status: "COMPLETED" };
  });
  draw({ steps: many });
  expect(screen.getAllByTestId("task-row").length).toBeLessThan(40);
  expect(document.querySelectorAll("*").length).toBeLessThan(900);
  expect(screen.getByRole("table", { name: "Tasks" })).toHaveAttribute("aria-rowcount", "501");
});
