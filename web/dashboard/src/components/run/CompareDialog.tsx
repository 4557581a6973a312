/** Which run to compare with: one of the latest of the same workflow, or any by its id. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { request } from "../../services/http";
import { runListSchema, type RunDetails } from "../../services/schemas";
import { FormDialog } from "../FormDialog";
import { StatusPill } from "../StatusPill";
import { LocalTime } from "../Times";
import { Field, Input } from "../ui/field";

const RUNS_MAX = 15;
const WINDOW_MS = 30 * 86_400_000;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export default function CompareDialog({ tenantId, details, onClose }: { tenantId: string; details: RunDetails; onClose: () => void }) {
  const navigate = useNavigate();
  const [other, setOther] = useState("");
  const id = details.run.metadata.id;
  const latest = useQuery({
    queryKey: ["runs", "to-compare", tenantId, details.run.workflowId],
    queryFn: ({ signal }) =>
      request(runListSchema, `/api/v1/stable/tenants/${tenantId}/workflow-runs`, {
        signal,
        query: {
          since: new Date(Date.now() - WINDOW_MS).toISOString(),
          workflow_ids: [details.run.workflowId],
          only_tasks: false,
          include_payloads: false,
          include_num_pages: false,
          limit: RUNS_MAX + 1,
        },
      }),
  });
  const others = latest.data?.rows.filter((row) => row.taskExternalId !== id).slice(0, RUNS_MAX) ?? [];
  return (
    <FormDialog
      title="Compare with another run"
      onClose={onClose}
      problems={{ other: ID.test(other.trim()) ? (other.trim() === id ? "This is the run itself." : null) : "Give the id of a run." }}
      act={() => Promise.resolve(other.trim())}
      submit="Compare"
      submitting="Opening…"
      onDone={(chosen) => void navigate({ to: "/runs/$id/compare/$other", params: { id, other: chosen } })}
    >
      {(problemAt) => (
        <>
          {latest.error !== null && (
            <p role="alert" className="mb-2 text-sm text-failed">
              The runs of this workflow could not be loaded: {latest.error.message}
            </p>
          )}
          {others.length > 0 && (
            <ul aria-label="Latest runs of this workflow" className="mb-3 space-y-1 text-sm">
              {others.map((row) => (
                <li key={row.taskExternalId} className="flex flex-wrap items-center gap-2">
                  <StatusPill status={row.status} />
                  <Link to="/runs/$id/compare/$other" params={{ id, other: row.taskExternalId }} className="text-accent underline">
                    {row.displayName}
                  </Link>
                  <span className="text-ink-soft">
                    <LocalTime instantMs={row.createdAt} />
                  </span>
                </li>
              ))}
            </ul>
          )}
          <Field label="Id of another run" error={problemAt("other")}>
            {(props) => <Input {...props} value={other} onChange={(event) => setOther(event.target.value)} />}
          </Field>
        </>
      )}
    </FormDialog>
  );
}
