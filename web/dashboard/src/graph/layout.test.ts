import { expect, test } from "vitest";

import { layOutGraph, NODE_HEIGHT, type GraphNode } from "./layout";

function graph(shape: Record<string, readonly string[]>): GraphNode[] {
  return Object.entries(shape).map(([id, childIds]) => ({ id, childIds }));
}

function layersOf(shape: Record<string, readonly string[]>): Record<string, number> {
  return Object.fromEntries(layOutGraph(graph(shape)).nodes.map((node) => [node.id, node.layer]));
}

test("a node stands one layer after its latest parent", () => {
  expect(layersOf({ start: ["load", "join"], load: ["reason"], reason: ["join"], join: [] })).toEqual({
    start: 0,
    load: 1,
    reason: 2,
    join: 3,
  });
});

test("nodes of one layer never overlap and layers are centred", () => {
  const { nodes, height } = layOutGraph(graph({ root: ["a", "b", "c"], a: ["end"], b: ["end"], c: ["end"], end: [] }));
  const middle = nodes.filter((node) => node.layer === 1).map((node) => node.y);
  for (const [index, y] of middle.entries()) {
    if (index > 0) expect(y - (middle[index - 1] ?? 0)).toBeGreaterThanOrEqual(NODE_HEIGHT);
  }
  expect(nodes.find((node) => node.id === "root")?.y).toBe((height - NODE_HEIGHT) / 2);
});

test("two chains declared crosswise are drawn without a crossing", () => {
  const { nodes } = layOutGraph(graph({ top: ["topEnd"], bottom: ["bottomEnd"], bottomEnd: [], topEnd: [] }));
  const y = Object.fromEntries(nodes.map((node) => [node.id, node.y]));
  expect(Math.sign((y["top"] ?? 0) - (y["bottom"] ?? 0))).toBe(Math.sign((y["topEnd"] ?? 0) - (y["bottomEnd"] ?? 0)));
});

test("children that are not in the graph are ignored, and a cycle ends", () => {
  expect(layOutGraph(graph({ only: ["ghost"] })).edges).toEqual([]);
  expect(layOutGraph(graph({ a: ["b"], b: ["a"] })).nodes).toHaveLength(2);
});

test("a node without edges stands below the others, unless all are like that", () => {
  const { nodes, height } = layOutGraph(graph({ start: ["end"], end: [], handler: [] }));
  const handler = nodes.find((node) => node.id === "handler");
  expect(handler?.y).toBe(height - NODE_HEIGHT);
  expect(nodes.filter((node) => node.id !== "handler").every((node) => node.y === 0)).toBe(true);
  expect(layOutGraph(graph({ a: [], b: [] })).nodes.map((node) => node.layer)).toEqual([0, 0]);
});

test("an empty graph takes no space", () => {
  expect(layOutGraph([])).toEqual({ nodes: [], edges: [], width: 0, height: 0 });
});

test("the same graph always gives the same drawing", () => {
  const shape = { a: ["c", "d"], b: ["c"], c: ["e"], d: ["e"], e: [] };
  expect(layOutGraph(graph(shape))).toEqual(layOutGraph(graph(shape)));
});
