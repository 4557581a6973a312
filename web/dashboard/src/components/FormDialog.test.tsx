import { QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { expect, test, vi } from "vitest";

import { makeQueryClient } from "../queries";
import { ApiError } from "../services/http";
import { FormDialog } from "./FormDialog";
import { Field, Input } from "./ui/field";

function Example({ act }: { act: (name: string) => Promise<unknown> }) {
  const [name, setName] = useState("");
  const [isOpen, setIsOpen] = useState(true);
  return (
    <QueryClientProvider client={makeQueryClient(() => undefined)}>
      {isOpen && (
        <FormDialog
          title="Name it"
          onClose={() => setIsOpen(false)}
          problems={{ name: name === "" ? "Give it a name." : null }}
          act={() => act(name)}
          submit="Save"
          submitting="Saving…"
        >
          {(problemAt) => (
            <Field label="Name" error={problemAt("name")}>
              {(props) => <Input {...props} value={name} onChange={(event) => setName(event.target.value)} />}
            </Field>
          )}
        </FormDialog>
      )}
    </QueryClientProvider>
  );
}

test("the first field has the focus, and what is wrong is said there before anything is sent", async () => {
  const user = userEvent.setup();
  const act = vi.fn(() => Promise.resolve());
  render(<Example act={act} />);
  expect(screen.getByLabelText("Name")).toHaveFocus();
  expect(screen.queryByRole("alert")).not.toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Save" }));
  expect(screen.getByLabelText("Name")).toHaveAccessibleDescription("Give it a name.");
  expect(act).not.toHaveBeenCalled();
});

test("a refusal that names a field stands at the field, and goes when the text is changed", async () => {
  const user = userEvent.setup();
  render(<Example act={() => Promise.reject(new ApiError("refused", 409, "it is taken", "name"))} />);
  await user.type(screen.getByLabelText("Name"), "a");
  await user.click(screen.getByRole("button", { name: "Save" }));
  expect(await screen.findByText("it is taken")).toBeInTheDocument();
  expect(screen.getByLabelText("Name")).toHaveAccessibleDescription("it is taken");
  await user.type(screen.getByLabelText("Name"), "b");
  expect(screen.queryByText("it is taken")).not.toBeInTheDocument();
});

test.each([
  [409, "it is paused already", /it is paused already.*Look at how it is now, then try again/],
  [429, "no room for another run", /no room for another run.*Wait until it has room/],
  [401, "a viewer may not do this", /a viewer may not do this.*ask an owner or an administrator/],
])("a refusal of no field in particular (%i) is shown with what helps, and the entries stay", async (status, words, shown) => {
  const user = userEvent.setup();
  render(<Example act={() => Promise.reject(new ApiError("refused", status, words))} />);
  await user.type(screen.getByLabelText("Name"), "a{Enter}");
  expect(await screen.findByRole("alert")).toHaveTextContent(shown);
  expect(screen.getByLabelText("Name")).toHaveValue("a");
});

test("Ctrl+Enter sends, once while the answer is awaited, and closes when it is there", async () => {
  const user = userEvent.setup();
  let answer: () => void = () => undefined;
  const act = vi.fn(
    () =>
      new Promise<void>((resolve) => {
        answer = resolve;
      }),
  );
  render(<Example act={act} />);
  await user.type(screen.getByLabelText("Name"), "a");
  await user.keyboard("{Control>}{Enter}{Enter}{/Control}");
  expect(await screen.findByRole("button", { name: "Saving…" })).toBeDisabled();
  expect(act).toHaveBeenCalledTimes(1);
  answer();
  await vi.waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
});
