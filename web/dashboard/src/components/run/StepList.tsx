/** The steps of a run from top to bottom, each with what it comes after: the graph for narrow screens. */
import { useMemo } from "react";

import { layOutGraph } from "../../graph/layout";
import type { Step } from "../../graph/steps";
import { StepCard } from "../StepCard";

export function StepList({
  steps,
  chosenId,
  onChoose,
}: {
  steps: readonly Step[];
  chosenId: string | null;
  onChoose: (stepId: string) => void;
}) {
  const ordered = useMemo(() => {
    const layerOf = new Map(layOutGraph(steps).nodes.map((node) => [node.id, node.layer]));
    const parentsOf = new Map<string, string[]>();
    for (const step of steps) {
      for (const child of step.childIds) parentsOf.set(child, [...(parentsOf.get(child) ?? []), step.name]);
    }
    return steps
      .map((step) => ({ step, layer: layerOf.get(step.id) ?? 0, parents: parentsOf.get(step.id) ?? [] }))
      .toSorted((left, right) => left.layer - right.layer);
  }, [steps]);
  return (
    <ol data-testid="step-list" aria-label="Steps" className="max-h-[60vh] space-y-1 overflow-y-auto p-2">
      {ordered.map(({ step, parents }) => (
        <li key={step.id} className="p-1 [contain-intrinsic-size:auto_4.5rem] [content-visibility:auto]">
          {parents.length > 0 && (
            <p className="truncate pb-0.5 pl-2 text-xs text-ink-soft" title={parents.join(", ")}>
              ↓ after {parents.join(", ")}
            </p>
          )}
          <StepCard step={step} chosen={step.id === chosenId} onChoose={onChoose} className="h-13 w-full" />
        </li>
      ))}
    </ol>
  );
}
