/** Topics, and one of them: its latest messages, those that come, and publishing. */
import { act, screen, waitFor, within } from "@testing-library/react";
import { HttpResponse, http } from "msw";
import { expect, test } from "vitest";

import { openConnections } from "../test/changes";
import { engine, onGet, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { TENANT_ID } from "../test/wire";

withEngine();

const AT = "2025-01-31T09:15:00.123456Z";
const page = (rows: readonly unknown[]) => ({ rows, retentionHours: 168, pagination: { next_cursor: null } });
const STREAMS = `/api/v1/stable/tenants/${TENANT_ID}/streams`;
const ROW = { namespace: "team", topic: "orders/eu", createdAt: AT, lastPublishedAt: AT, messageCount: 1234 };

function messages() {
  const found = openConnections().find((connection) => connection.url.includes("/streams/"));
  if (found === undefined) throw new Error("nobody follows a topic");
  return found;
}

test("topics lead to their messages, which appear as they are published", async () => {
  engine.use(onGet(`${STREAMS}/topics`, page([ROW])));
  const { user } = renderApp("/streams");
  const table = await screen.findByRole("table", { name: "Topics" });
  expect(within(table).getByText("1,234")).toBeInTheDocument();
  await user.click(within(table).getByRole("link", { name: "orders/eu" }));
  expect(await screen.findByRole("heading", { name: "team / orders/eu" })).toBeInTheDocument();
  const connection = await waitFor(messages);
  expect(connection.url).toBe(`${STREAMS}/team/orders%2Feu?last=100`);
  act(() => {
    connection.emit("message", "first", "a");
    connection.emit("binary", "AP8=", "b");
    connection.emit("reference", "0199b6a2", "c");
    connection.emit("message", "newest", "d");
  });
  const shown = within(await screen.findByRole("list", { name: "Messages" })).getAllByRole("listitem");
  expect(shown.map((item) => item.textContent)).toEqual(["newest", "Download a large payload", "bytes, in Base64AP8=", "first"]);
  expect(screen.getByText(/^Live: messages appear/)).toBeInTheDocument();
  expect(within(screen.getByRole("main")).getByRole("link", { name: "Download a large payload" })).toHaveAttribute(
    "href",
    `${STREAMS}/payloads?ref=0199b6a2`,
  );
  act(() => {
    connection.close();
    connection.emit("error");
  });
  expect(screen.getByText(/^This stream has ended/)).toBeInTheDocument();
});

test("a message is published as it is written, to a topic that need not exist", async () => {
  const sent: { url: string; text: string }[] = [];
  engine.use(
    onGet(`${STREAMS}/topics`, page([])),
    http.post(`*${STREAMS}/*/*`, async ({ request }) => {
      sent.push({ url: new URL(request.url).pathname, text: await request.text() });
      return HttpResponse.json({ cursor: "c", number: 1 });
    }),
  );
  const { user } = renderApp("/streams");
  expect(await screen.findByText("No topics")).toBeInTheDocument();
  await user.click(screen.getByRole("button", { name: "Publish a message" }));
  const dialog = await screen.findByRole("dialog");
  await user.click(within(dialog).getByRole("button", { name: "Publish" }));
  expect(within(dialog).getByText("Give it a topic.")).toBeInTheDocument();
  await user.type(within(dialog).getByRole("textbox", { name: "Topic" }), "orders");
  await user.click(within(dialog).getByRole("textbox", { name: "Message" }));
  await user.paste('{"order": 1}');
  await user.click(within(dialog).getByRole("button", { name: "Publish" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  expect(sent).toEqual([{ url: `${STREAMS}/-/orders`, text: '{"order": 1}' }]);
});

test("how long messages are kept is shown and changed, within its bounds", async () => {
  let hours = 168;
  engine.use(
    onGet(`${STREAMS}/topics`, () => ({ ...page([]), retentionHours: hours })),
    http.put(`*${STREAMS}/retention`, async ({ request }) => {
      hours = ((await request.json()) as { retentionHours: number }).retentionHours;
      return HttpResponse.json({ retentionHours: hours });
    }),
  );
  const { user } = renderApp("/streams");
  await user.click(await screen.findByRole("button", { name: "Kept for 7 days" }));
  const dialog = screen.getByRole("dialog");
  const field = within(dialog).getByRole("textbox", { name: "Hours" });
  await user.clear(field);
  await user.type(field, "1489{Enter}");
  expect(dialog).toHaveTextContent("Between 1 and 1,488 hours.");
  await user.clear(field);
  await user.type(field, "36");
  expect(dialog).toHaveTextContent("36 hours.");
  await user.click(within(dialog).getByRole("button", { name: "Save" }));
  expect(await screen.findByRole("button", { name: "Kept for 36 hours" })).toBeInTheDocument();
  expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
});
