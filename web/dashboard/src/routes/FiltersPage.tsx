import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { FormDialog } from "../components/FormDialog";
import { JsonField } from "../components/JsonField";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { Button } from "../components/ui/button";
import { Field, Input, Select, TextArea } from "../components/ui/field";
import { checkJson, type JsonObject } from "../forms/json";
import { changeFilter, createFilter, deleteFilter, filtersQuery, tryExpression, type EventFilterRule } from "../services/events";
import { workflowsQuery } from "../services/workflows";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

export function FiltersPage() {
  useTitle("Filters");
  const { tenant } = useSession();
  const client = useQueryClient();
  const filters = useInfiniteQuery(filtersQuery(tenant.id));
  const workflows = useQuery(workflowsQuery(tenant.id));
  const nameOf = new Map(workflows.data?.map((workflow) => [workflow.metadata.id, workflow.name]));
  const [edits, setEdits] = useState<EventFilterRule | "new" | null>(null);
  const refresh = () => void client.invalidateQueries({ queryKey: ["filters"] });

  return (
    <>
      <PageHeader title="Filters" docs="triggers#event-filters">
        <Button variant="primary" needs="createFilter" onClick={() => setEdits("new")}>
          Create a filter
        </Button>
      </PageHeader>
      <PagedTable
        label="Filters"
        query={filters}
        keyOf={(filter) => filter.metadata.id}
        empty={
          <Notice title="No filters">
            <p>A filter says which events of a scope start a workflow, by an expression over the event’s payload.</p>
          </Notice>
        }
        columns={[
          { title: "Expression", cell: (filter) => <code className="font-mono text-xs font-normal break-all">{filter.expression}</code> },
          {
            title: "Workflow",
            cell: (filter) => (
              <Link to="/workflows/$id" params={{ id: filter.workflowId }} className="text-accent underline">
                {nameOf.get(filter.workflowId) ?? "a workflow"}
              </Link>
            ),
          },
          { title: "Scope", cell: (filter) => filter.scope },
          { title: "Made by", cell: (filter) => (filter.isDeclarative ? "code" : "people") },
          {
            title: "Actions",
            isUntitled: true,
            cell: (filter) => (
              <div className="flex justify-end gap-1.5">
                <Button size="small" needs="changeFilter" aria-label={`Edit ${filter.expression}`} onClick={() => setEdits(filter)}>
                  Edit
                </Button>
                <ConfirmButton
                  label="Delete"
                  needs="deleteFilter"
                  accessibleName={`Delete ${filter.expression}`}
                  title="Delete this filter?"
                  confirm="Delete it"
                  act={() => deleteFilter(tenant.id, filter.metadata.id)}
                  onDone={refresh}
                >
                  <p>
                    <code className="font-mono text-xs break-all">{filter.expression}</code> is asked no more.
                  </p>
                </ConfirmButton>
              </div>
            ),
          },
        ]}
      />
      {edits !== null && (
        <FilterDialog
          tenantId={tenant.id}
          filter={edits === "new" ? null : edits}
          workflows={workflows.data?.map((workflow) => ({ id: workflow.metadata.id, name: workflow.name })) ?? []}
          onClose={() => setEdits(null)}
        />
      )}
    </>
  );
}

function FilterDialog({
  tenantId,
  filter,
  workflows,
  onClose,
}: {
  tenantId: string;
  filter: EventFilterRule | null;
  workflows: readonly { readonly id: string; readonly name: string }[];
  onClose: () => void;
}) {
  const [workflowId, setWorkflowId] = useState(filter?.workflowId ?? workflows[0]?.id ?? "");
  const [scope, setScope] = useState(filter?.scope ?? "");
  const [expression, setExpression] = useState(filter?.expression ?? "");
  const [payloadText, setPayloadText] = useState(() => JSON.stringify(filter?.payload ?? {}));
  const payload = checkJson(payloadText);
  return (
    <FormDialog
      title={filter === null ? "Create a filter" : "Edit the filter"}
      onClose={onClose}
      wide
      problems={{
        workflowId: workflowId === "" ? "There is no workflow yet. Start a worker that has one." : null,
        scope: scope === "" ? "Say which events: filters see those of their scope only." : null,
        expression: expression.trim() === "" ? "Give an expression." : null,
        payload: payload.problem,
      }}
      act={async () => {
        const rule = { scope, expression, payload: payload.value ?? {} };
        if (filter === null) await createFilter(tenantId, { workflowId, ...rule });
        else await changeFilter(tenantId, filter.metadata.id, rule);
      }}
      submit="Save"
      submitting="Saving…"
      touches={["filters"]}
    >
      {(problemAt) => (
        <>
          <div className="grid gap-x-4 sm:grid-cols-2">
            <Field label="Workflow" error={problemAt("workflowId")}>
              {(props) => (
                <Select {...props} disabled={filter !== null} value={workflowId} onChange={(event) => setWorkflowId(event.target.value)}>
                  {workflows.map((workflow) => (
                    <option key={workflow.id} value={workflow.id}>
                      {workflow.name}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            <Field label="Scope" error={problemAt("scope")}>
              {(props) => <Input {...props} value={scope} onChange={(event) => setScope(event.target.value)} />}
            </Field>
          </div>
          <Field label="Expression" hint='CEL, for example input.amount > 100 && payload.tier == "gold"' error={problemAt("expression")}>
            {(props) => <TextArea {...props} rows={2} value={expression} onChange={(event) => setExpression(event.target.value)} />}
          </Field>
          <JsonField
            label="Filter payload"
            text={payloadText}
            problem={problemAt("payload")}
            onChange={setPayloadText}
            rows={3}
            hint="What the expression knows as payload, and the run gets beside its input."
          />
          <ExpressionTester tenantId={tenantId} expression={expression} payload={payload.value ?? {}} />
        </>
      )}
    </FormDialog>
  );
}

function ExpressionTester({ tenantId, expression, payload }: { tenantId: string; expression: string; payload: JsonObject }) {
  const [text, setText] = useState("{}");
  const input = checkJson(text);
  const trying = useMutation({ mutationFn: () => tryExpression(tenantId, expression, input.value ?? {}, payload) });
  return (
    <fieldset className="rounded-md border border-line p-3">
      <legend className="px-1 text-sm font-medium">Try it</legend>
      <JsonField label="An event’s payload" text={text} problem={input.problem} onChange={setText} rows={3} />
      <div className="flex flex-wrap items-center gap-3">
        <Button disabled={trying.isPending || expression.trim() === "" || input.value === null} onClick={() => trying.mutate()}>
          Try
        </Button>
        <span role="status" className="text-sm">
          {trying.error !== null && <span className="text-failed">{trying.error.message}</span>}
          {trying.data?.status === "ERROR" && <span className="text-failed">{trying.data.error}</span>}
          {trying.data?.status === "SUCCESS" && (trying.data.output === true ? "The event would start the workflow." : "The event would start nothing.")}
        </span>
      </div>
    </fieldset>
  );
}
