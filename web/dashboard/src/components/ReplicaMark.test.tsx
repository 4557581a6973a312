import { screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";

import { tellChanges } from "../test/changes";
import { engine, onGet, withEngine } from "../test/engine";
import { renderApp } from "../test/renderApp";
import { META_OPEN } from "../test/wire";

withEngine();

test("the head of every page says how far the read replica is behind, and no more when it has come", async () => {
  let readReplica: unknown = { state: "BEHIND", lagSeconds: 2.4 };
  engine.use(onGet("/api/v1/meta", () => ({ ...META_OPEN, readReplica })));
  renderApp("/workers");
  const mark = await screen.findByText("Read replica 3 s behind; the primary answers");
  tellChanges({ kinds: [] });
  readReplica = { state: "AWAY", lagSeconds: 0 };
  tellChanges({ kinds: ["runs"] });
  await waitFor(() => expect(mark).toHaveTextContent("Read replica away; the primary answers"));
  readReplica = { state: "IN_USE", lagSeconds: 0 };
  tellChanges({ kinds: ["runs"] });
  await waitFor(() => expect(mark).toBeEmptyDOMElement());
  expect(screen.getByRole("contentinfo")).toHaveTextContent("read from a replica");
});

test("without a replica nothing is said or asked about it", async () => {
  let asked = 0;
  engine.use(
    onGet("/api/v1/meta", () => {
      asked += 1;
      return META_OPEN;
    }),
  );
  renderApp("/workers");
  await screen.findByText("worker-a");
  tellChanges({ kinds: ["runs"] });
  expect(screen.getByRole("contentinfo")).not.toHaveTextContent("replica");
  expect(asked).toBe(1);
});
