import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test, vi } from "vitest";

import { aTask } from "../test/factories";
import { Waterfall } from "./Waterfall";

const first = aTask({ taskExternalId: "t1", status: "COMPLETED", createdAt: 0, startedAt: 1_000, finishedAt: 5_000, duration: 4_000 });
const second = aTask({ taskExternalId: "t2", status: "FAILED", createdAt: 5_000, startedAt: 5_000, finishedAt: 10_000, duration: 5_000 });
const steps = [
  { id: "s1", name: "extract", childIds: ["s2"], task: first, status: "COMPLETED" as const },
  { id: "s2", name: "load", childIds: [], task: second, status: "FAILED" as const },
  { id: "s3", name: "report", childIds: [], task: null, status: "PENDING" as const },
];

test("bars stand on one common axis and are described in words", () => {
  render(<Waterfall steps={steps} events={[]} chosenId={null} onChoose={vi.fn()} />);
  const bars = screen.getByRole("img", { name: "extract waited 1.00 s, ran 4.00 s" });
  expect([...bars.querySelectorAll("span")].map((bar) => bar.style.left)).toEqual(["0%", "10%"]);
  const failed = screen.getByRole("img", { name: "load failed after 5.00 s" });
  expect(failed.querySelector("span")?.style.left).toBe("50%");
  expect(screen.getByRole("img", { name: "report has not started" })).toBeInTheDocument();
});

test("a task is chosen by its name; a step without a task cannot be", async () => {
  const onChoose = vi.fn();
  render(<Waterfall steps={steps} events={[]} chosenId="s1" onChoose={onChoose} />);
  expect(screen.getByRole("button", { name: "extract" })).toHaveAttribute("aria-pressed", "true");
  await userEvent.setup().click(screen.getByRole("button", { name: "load" }));
  expect(onChoose).toHaveBeenCalledWith("s2");
  expect(within(screen.getByRole("row", { name: /report/ })).queryByRole("button")).not.toBeInTheDocument();
});
