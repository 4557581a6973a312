import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { expect, test } from "vitest";

import { Tabs } from "./tabs";

const TABS = [
  { id: "one", label: "One" },
  { id: "two", label: "Two" },
  { id: "three", label: "Three" },
] as const;

function Example() {
  const [chosen, setChosen] = useState<(typeof TABS)[number]["id"]>("one");
  return (
    <Tabs label="Example" tabs={TABS} chosen={chosen} onChoose={setChosen}>
      panel {chosen}
    </Tabs>
  );
}

test("tabs are moved through by keyboard, round the ends", async () => {
  const user = userEvent.setup();
  render(<Example />);
  await user.tab();
  expect(screen.getByRole("tab", { name: "One" })).toHaveFocus();
  await user.keyboard("{ArrowLeft}");
  expect(screen.getByRole("tab", { name: "Three" })).toHaveFocus();
  expect(screen.getByRole("tabpanel", { name: "Three" })).toHaveTextContent("panel three");
  await user.keyboard("{Home}{ArrowRight}");
  expect(screen.getByRole("tab", { name: "Two", selected: true })).toHaveFocus();
});
