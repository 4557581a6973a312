import { EditorView } from "@codemirror/view";
import { act, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { expect, test } from "vitest";

import { InputEditor } from "./InputEditor";
import { checkJson } from "./json";

const SCHEMA = {
  type: "object",
  properties: {
    name: { type: "string", description: "Who it is for." },
    age: { anyOf: [{ type: "integer" }, { type: "null" }], default: null },
    tier: { enum: ["gold", "tin"] },
    express: { type: "boolean" },
    tags: { type: "array", items: { type: "string" } },
    address: { $ref: "#/$defs/Address" },
    labels: { type: "object", additionalProperties: { type: "string" } },
  },
  required: ["name", "address"],
  $defs: { Address: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
};

const written: string[] = [];
const last = (): string => written.at(-1) ?? "";

function Example({ isChecked = false, schema = SCHEMA as object, first = "{}" }) {
  const [text, setText] = useState(first);
  function write(next: string): void {
    written.push(next);
    setText(next);
  }
  const problem = checkJson(text, schema as typeof SCHEMA).problem;
  return <InputEditor schema={schema as typeof SCHEMA} text={text} problem={isChecked ? problem : null} onChange={write} />;
}

async function editor(): Promise<EditorView> {
  const content = await waitFor(() => {
    const found = document.querySelector<HTMLElement>(".cm-content");
    if (found === null) throw new Error("the editor is not there yet");
    return found;
  });
  const view = EditorView.findFromDOM(content);
  if (view === null) throw new Error("no editor");
  return view;
}

test("each kind of field writes the value, and what is cleared is left out", async () => {
  const user = userEvent.setup();
  render(<Example />);
  const name = await screen.findByLabelText(/^name/);
  expect(name).toHaveAccessibleDescription("Who it is for.");
  await user.type(name, "Ada");
  await user.type(screen.getByLabelText("age"), "36");
  await user.selectOptions(screen.getByLabelText("tier"), "gold");
  await user.click(screen.getByLabelText("express"));
  await user.click(screen.getByRole("button", { name: "Add to tags" }));
  await user.type(screen.getByLabelText(/^tags-1/), "new");
  await user.type(screen.getByLabelText(/^city/), "Turin");
  expect(JSON.parse(last())).toEqual({
    name: "Ada",
    age: 36,
    tier: "gold",
    express: true,
    tags: ["new"],
    address: { city: "Turin" },
  });
  await user.clear(screen.getByLabelText("age"));
  await user.click(screen.getByRole("button", { name: "Remove entry 1" }));
  expect(JSON.parse(last())).toEqual({ name: "Ada", tier: "gold", express: true, tags: [], address: { city: "Turin" } });
});

test("complaints stand at their fields, in parts of parts too", async () => {
  render(<Example isChecked first='{"age": 1.5, "address": {}}' />);
  expect(await screen.findByLabelText(/^name/)).toHaveAccessibleDescription(/Is missing/);
  expect(screen.getByLabelText(/^city/)).toHaveAccessibleDescription(/Is missing/);
  expect(screen.getByLabelText("age")).toHaveAccessibleDescription(/Must be integer/);
});

test("form and JSON show one value; while the text is not JSON the form waits", async () => {
  const user = userEvent.setup();
  render(<Example />);
  await user.type(await screen.findByLabelText(/^name/), "Ada");
  const view = await editor();
  expect(view.state.doc.toString()).toBe(last());
  act(() => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: '{"name": "Grace"}' } }));
  await waitFor(() => expect(screen.getByLabelText(/^name/)).toHaveValue("Grace"));
  act(() => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: "{" } }));
  await waitFor(() => expect(screen.getByLabelText(/^name/)).toBeDisabled());
  expect(screen.getByLabelText(/^name/)).toHaveValue("Grace");
});

test.each([
  [{ type: "object", properties: { a: { $ref: "#/$defs/Missing" } } }],
  [{ type: "object", properties: { a: { type: "nonsense" } } }],
])("a schema that cannot be drawn leaves the JSON editor: %j", async (schema) => {
  render(<Example schema={schema} />);
  expect((await editor()).state.doc.toString()).toBe("{}");
  expect(await screen.findByText(/Write the input as JSON|Write this one as JSON/)).toBeInTheDocument();
});

test("without a schema there is the JSON editor alone", async () => {
  render(<InputEditor schema={null} text="{}" problem={null} onChange={() => undefined} />);
  await editor();
  expect(screen.queryByRole("group", { name: "Input, as a form" })).not.toBeInTheDocument();
  expect(screen.getByRole("textbox", { name: "Input" })).toBeInTheDocument();
});
