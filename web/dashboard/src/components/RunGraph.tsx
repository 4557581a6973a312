/**
 * The graph of a run's steps, drawn by React Flow at the places our own layout gives. Loaded only for runs that have
 * more than one step: the library is the largest part of the dashboard.
 */
import "@xyflow/react/dist/base.css";

import { Controls, ReactFlow, ViewportPortal, type Node, type NodeProps } from "@xyflow/react";
import { useMemo } from "react";

import { layOutGraph, NODE_HEIGHT, NODE_WIDTH, type GraphEdge, type GraphLayout } from "../graph/layout";
import type { Step } from "../graph/steps";
import { StepCard } from "./StepCard";

type StepNode = Node<{ step: Step; chosen: boolean; onChoose: (stepId: string) => void }, "step">;

const CANVAS_HEIGHT_MIN = 180;
const CANVAS_HEIGHT_MAX = 460;
const CANVAS_PADDING = 64;
/** A graph with more steps than this draws only those in sight. */
const DRAWN_STEPS_MAX = 60;
const FIT = { padding: 0.12, maxZoom: 1, minZoom: 0.2 };
/** A large graph is not shrunk until nobody can read it: part of it is seen, and the rest is a drag away. */
const FIT_LARGE = { ...FIT, minZoom: 0.5 };

const nodeTypes = { step: StepNodeView };

export default function RunGraph({
  steps,
  chosenId,
  onChoose,
}: {
  steps: readonly Step[];
  chosenId: string | null;
  onChoose: (stepId: string) => void;
}) {
  const shapeKey = JSON.stringify(steps.map((step) => [step.id, step.childIds]));
  const layout = useMemo(
    () => layOutGraph((JSON.parse(shapeKey) as [string, string[]][]).map(([id, childIds]) => ({ id, childIds }))),
    [shapeKey],
  );
  const stepOf = new Map(steps.map((step) => [step.id, step]));

  const nodes = layout.nodes.flatMap((placed): StepNode[] => {
    const step = stepOf.get(placed.id);
    if (step === undefined) return [];
    return [
      {
        id: placed.id,
        type: "step",
        position: { x: placed.x, y: placed.y },
        width: NODE_WIDTH,
        height: NODE_HEIGHT,
        // The library takes pointer events from nodes that it need not move or select; the card inside is a button.
        style: { pointerEvents: "all" },
        data: { step, chosen: placed.id === chosenId, onChoose },
      },
    ];
  });
  const isActive = (edge: GraphEdge) => stepOf.get(edge.to)?.status === "RUNNING";
  const height = Math.min(CANVAS_HEIGHT_MAX, Math.max(CANVAS_HEIGHT_MIN, layout.height + CANVAS_PADDING));

  return (
    <div data-testid="run-graph" style={{ height }}>
      <ReactFlow
        key={shapeKey}
        aria-label="Graph of the run's steps"
        nodes={nodes}
        nodeTypes={nodeTypes}
        fitView
        fitViewOptions={steps.length > DRAWN_STEPS_MAX ? FIT_LARGE : FIT}
        minZoom={0.2}
        maxZoom={1.5}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        elementsSelectable={false}
        // The page scrolls under the pointer; the graph moves by dragging and zooms by its buttons or a pinch.
        zoomOnScroll={false}
        preventScrolling={false}
        onlyRenderVisibleElements={steps.length > DRAWN_STEPS_MAX}
      >
        <Lines layout={layout} isActive={isActive} />
        <Controls showInteractive={false} position="bottom-right" className="graph-controls" />
      </ReactFlow>
    </div>
  );
}

/**
 * The lines between the nodes, all of a kind as one path: drawn one by one, those of a task with hundreds of parents are
 * thousands of elements, all of them in sight.
 */
function Lines({ layout, isActive }: { layout: GraphLayout; isActive: (edge: GraphEdge) => boolean }) {
  const placed = new Map(layout.nodes.map((node) => [node.id, node]));
  const pathOf = (edges: readonly GraphEdge[]) =>
    edges
      .map(({ from, to }) => {
        const [start, end] = [placed.get(from), placed.get(to)];
        if (start === undefined || end === undefined) return "";
        const [x1, y1, x2, y2] = [start.x + NODE_WIDTH, start.y + NODE_HEIGHT / 2, end.x, end.y + NODE_HEIGHT / 2];
        const bend = Math.max(24, (x2 - x1) / 2);
        return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
      })
      .join("");
  return (
    <ViewportPortal>
      <svg aria-hidden="true" className="pointer-events-none absolute top-0 left-0 -z-10 overflow-visible" width={1} height={1} fill="none">
        <path d={pathOf(layout.edges.filter((edge) => !isActive(edge)))} stroke="var(--line-strong)" strokeWidth={1.5} />
        <path
          d={pathOf(layout.edges.filter(isActive))}
          stroke="var(--running)"
          strokeWidth={1.5}
          strokeDasharray={5}
          className="motion-safe:animate-[dashdraw_0.5s_linear_infinite]"
        />
      </svg>
    </ViewportPortal>
  );
}

function StepNodeView({ data }: NodeProps<StepNode>) {
  return <StepCard step={data.step} chosen={data.chosen} onChoose={data.onChoose} className="nodrag nopan size-full" />;
}
