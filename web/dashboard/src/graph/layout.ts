/**
 * Where the nodes of a workflow graph stand.
 *
 * A layered drawing from left to right: a node's layer is its longest distance from a root, and inside a layer nodes
 * are ordered by the mean position of their neighbours, swept forth and back a fixed number of times. Plain data in,
 * plain data out; the same graph always gives the same drawing. Nodes without any edge (a failure handler, say) stand
 * in a row of their own below the rest. A cycle (which the engine refuses) does not hang it:
 * edges that would close one are kept as edges but ignored for layering.
 */

export interface GraphNode {
  readonly id: string;
  readonly childIds: readonly string[];
}

export interface PlacedNode {
  readonly id: string;
  readonly layer: number;
  readonly x: number;
  readonly y: number;
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
}

export interface GraphLayout {
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly GraphEdge[];
  readonly width: number;
  readonly height: number;
}

export const NODE_WIDTH = 208;
export const NODE_HEIGHT = 60;
const LAYER_GAP = 72;
const ROW_GAP = 22;
const ORDERING_SWEEPS = 4;

export function layOutGraph(nodes: readonly GraphNode[]): GraphLayout {
  const known = new Set(nodes.map((node) => node.id));
  const edges = nodes.flatMap((node) =>
    node.childIds.filter((to) => known.has(to) && to !== node.id).map((to) => ({ from: node.id, to })),
  );
  const joined = new Set(edges.flatMap((edge) => [edge.from, edge.to]));
  const graph = joined.size === 0 ? nodes : nodes.filter((node) => joined.has(node.id));
  const alone = joined.size === 0 ? [] : nodes.filter((node) => !joined.has(node.id));
  const layers = orderLayers(graph, edges, assignLayers(graph, edges));

  const tallest = Math.max(0, ...layers.map((layer) => layer.length));
  const height = tallest * NODE_HEIGHT + Math.max(0, tallest - 1) * ROW_GAP;
  const columns = Math.max(layers.length, alone.length);
  const width = columns * NODE_WIDTH + Math.max(0, columns - 1) * LAYER_GAP;
  const placed = layers.flatMap((layer, index) => {
    const layerHeight = layer.length * NODE_HEIGHT + (layer.length - 1) * ROW_GAP;
    return layer.map((id, row) => ({
      id,
      layer: index,
      x: index * (NODE_WIDTH + LAYER_GAP),
      y: (height - layerHeight) / 2 + row * (NODE_HEIGHT + ROW_GAP),
    }));
  });
  const below = alone.map((node, index) => ({
    id: node.id,
    layer: index,
    x: index * (NODE_WIDTH + LAYER_GAP),
    y: height + ROW_GAP,
  }));
  const belowHeight = alone.length === 0 ? 0 : ROW_GAP + NODE_HEIGHT;
  return { nodes: [...placed, ...below], edges, width, height: height + belowHeight };
}

function assignLayers(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): ReadonlyMap<string, number> {
  const childrenOf = groupBy(edges, (edge) => edge.from, (edge) => edge.to);
  const waitingFor = new Map(nodes.map((node) => [node.id, 0]));
  for (const edge of edges) waitingFor.set(edge.to, (waitingFor.get(edge.to) ?? 0) + 1);

  const layerOf = new Map<string, number>();
  const ready = nodes.filter((node) => waitingFor.get(node.id) === 0).map((node) => node.id);
  const left = new Set(nodes.map((node) => node.id));
  // Read by place: taking the first off a long list moves all the others.
  for (let next = 0; left.size > 0; ) {
    // Nothing is ready only inside a cycle: break it at the node declared first.
    const id = ready[next] ?? firstOf(left);
    if (next < ready.length) next += 1;
    if (!left.delete(id)) continue;
    const layer = layerOf.get(id) ?? 0;
    layerOf.set(id, layer);
    for (const child of childrenOf.get(id) ?? []) {
      if (!left.has(child)) continue;
      layerOf.set(child, Math.max(layerOf.get(child) ?? 0, layer + 1));
      const waits = (waitingFor.get(child) ?? 0) - 1;
      waitingFor.set(child, waits);
      if (waits === 0) ready.push(child);
    }
  }
  return layerOf;
}

function orderLayers(
  nodes: readonly GraphNode[],
  edges: readonly GraphEdge[],
  layerOf: ReadonlyMap<string, number>,
): string[][] {
  const layers: string[][] = [];
  for (const node of nodes) (layers[layerOf.get(node.id) ?? 0] ??= []).push(node.id);

  const parentsOf = groupBy(edges, (edge) => edge.to, (edge) => edge.from);
  const childrenOf = groupBy(edges, (edge) => edge.from, (edge) => edge.to);
  for (let sweep = 0; sweep < ORDERING_SWEEPS; sweep += 1) {
    const forward = sweep % 2 === 0;
    const neighboursOf = forward ? parentsOf : childrenOf;
    const rankOf = rankNodes(layers);
    for (const layer of forward ? layers : layers.toReversed()) {
      const weights = new Map(layer.map((id) => [id, meanRank(neighboursOf.get(id) ?? [], rankOf, rankOf.get(id) ?? 0)]));
      layer.sort((left, right) => (weights.get(left) ?? 0) - (weights.get(right) ?? 0));
      for (const [id, rank] of rankNodes([layer])) rankOf.set(id, rank);
    }
  }
  return layers;
}

/** The position of each node in its layer, from 0 (top) to 1 (bottom), so that layers of different sizes compare. */
function rankNodes(layers: readonly (readonly string[])[]): Map<string, number> {
  return new Map(layers.flatMap((layer) => layer.map((id, row) => [id, (row + 0.5) / layer.length] as const)));
}

function meanRank(ids: readonly string[], rankOf: ReadonlyMap<string, number>, otherwise: number): number {
  if (ids.length === 0) return otherwise;
  return ids.reduce((sum, id) => sum + (rankOf.get(id) ?? 0), 0) / ids.length;
}

function groupBy<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  valueOf: (item: Item) => string,
): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(valueOf(item));
    else groups.set(keyOf(item), [valueOf(item)]);
  }
  return groups;
}

function firstOf(ids: ReadonlySet<string>): string {
  for (const id of ids) return id;
  throw new Error("firstOf needs a non-empty set");
}
