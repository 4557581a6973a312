/** An example with one click, where the engine offers it: it starts a worker on its own machine, which starts a run. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { exampleQuery, startExample } from "../../services/example";
import { useMay } from "../may";
import { Button } from "../ui/button";
import { Card } from "../ui/card";

export function ExampleOffer({ tenantId }: { tenantId: string }) {
  const client = useQueryClient();
  const may = useMay();
  const example = useQuery(exampleQuery(tenantId));
  const starting = useMutation({
    mutationFn: () => startExample(tenantId),
    onSettled: () => client.invalidateQueries({ queryKey: ["example"] }),
  });
  if (example.data === undefined || !may("startExample")) return null;
  if (!example.data.isOffered) {
    return <p className="text-sm text-ink-soft">There is no example to run with one click here: {example.data.problem}.</p>;
  }
  const isUnderWay = starting.isPending || starting.isSuccess || example.data.isRunning;
  return (
    <Card aria-label="Run an example">
      <div className="flex flex-wrap items-center justify-between gap-3 px-4 py-4 sm:px-6">
        <div className="min-w-0 flex-1 basis-64">
          <h2 className="text-base font-semibold">Run an example</h2>
          <p className="mt-1 text-sm text-ink-soft">
            The engine starts a small worker on its own machine. It runs a workflow of three tasks, one of which fails and is tried
            again. It ends with the engine, or after a day.
          </p>
          <p role="status" className="mt-1 text-sm">
            {isUnderWay && "The example is starting; its run appears here by itself."}
          </p>
          {starting.error !== null && (
            <p role="alert" className="mt-1 text-sm text-failed">
              {starting.error.message}
            </p>
          )}
        </div>
        <Button variant="primary" needs="startExample" disabled={isUnderWay} onClick={() => starting.mutate()}>
          Run an example
        </Button>
      </div>
    </Card>
  );
}
