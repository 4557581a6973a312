/** Asks which workflow, then how to start it. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useSession } from "../routes/useSession";
import { workflowsQuery } from "../services/workflows";
import { StartDialog } from "./StartDialog";
import { Button } from "./ui/button";
import { Dialog } from "./ui/dialog";

const ACTS = { now: "trigger", at: "createSchedule", cron: "createCron" } as const;

export function StartWorkflowButton({ label, when }: { label: string; when: "now" | "at" | "cron" }) {
  const { tenant } = useSession();
  const [asks, setAsks] = useState(false);
  const [chosen, setChosen] = useState<{ id: string; name: string } | null>(null);
  const workflows = useQuery({ ...workflowsQuery(tenant.id), enabled: asks });
  function close(): void {
    setAsks(false);
    setChosen(null);
  }
  return (
    <>
      <Button variant="primary" needs={ACTS[when]} onClick={() => setAsks(true)}>
        {label}
      </Button>
      {asks && chosen === null && (
        <Dialog title="Which workflow?" onClose={close}>
          {workflows.data?.length === 0 && <p className="text-sm">There is no workflow yet. Start a worker that has one.</p>}
          <ul className="space-y-1">
            {workflows.data?.map((workflow) => (
              <li key={workflow.metadata.id}>
                <Button
                  variant="ghost"
                  className="w-full justify-start"
                  onClick={() => setChosen({ id: workflow.metadata.id, name: workflow.name })}
                >
                  {workflow.name}
                </Button>
              </li>
            ))}
          </ul>
        </Dialog>
      )}
      {chosen !== null && <StartDialog tenantId={tenant.id} workflow={chosen} when={when} onClose={close} />}
    </>
  );
}
