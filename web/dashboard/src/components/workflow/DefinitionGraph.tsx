/** The tasks of a version and what waits for what, drawn as the graph of a run in which nothing has begun. */
import { useState } from "react";

import type { Step } from "../../graph/steps";
import type { TaskDefinition } from "../../services/definitions";
import { Loading } from "../Notice";
import { Card, CardHeader } from "../ui/card";
import { useLoaded } from "../useLoaded";

const loadGraph = () => import("../RunGraph");

export function DefinitionGraph({ tasks }: { tasks: readonly TaskDefinition[] }) {
  const Graph = useLoaded(loadGraph, tasks.length > 1)?.default;
  const [chosenId, setChosenId] = useState<string | null>(null);
  if (tasks.length < 2) return null;
  return (
    <Card aria-label="Graph">
      <CardHeader title="Graph" />
      {Graph === undefined ? (
        <Loading label="Drawing the graph…" />
      ) : (
        <Graph steps={tasks.map((task) => stepOf(task, tasks))} chosenId={chosenId} onChoose={setChosenId} />
      )}
    </Card>
  );
}

function stepOf(task: TaskDefinition, tasks: readonly TaskDefinition[]): Step {
  const childIds = tasks.filter((other) => other.parents.includes(task.name)).map((other) => other.id);
  return { id: task.id, name: task.name, childIds, task: null, status: "PENDING" };
}
