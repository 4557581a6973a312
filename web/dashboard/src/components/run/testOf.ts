/** A task of a run as a test, with what its parents and children returned then. */
import { asPytest, givenMetadata } from "../../copy/asCode";
import type { Step } from "../../graph/steps";
import { request } from "../../services/http";
import { runListSchema, type RunDetails } from "../../services/schemas";
import { errorSummary } from "../errorSummary";

/** More children than this would make a test nobody reads. */
const CHILDREN_MAX = 20;

type Json = Readonly<Record<string, unknown>>;

export async function testOf(tenantId: string, details: RunDetails, step: Step): Promise<string> {
  const task = step.task;
  if (task === null) throw new Error(`${step.name} has not run, so there is nothing to test.`);
  const defined = details.workflowConfig?.tasks.find((item) => item.id === step.id) ?? details.workflowConfig?.on_failure ?? null;
  // What a task was given has the run's input and, in a workflow of several tasks, its parents' outputs.
  const given = details.shape.length > 1 ? task.input : { input: task.input, parents: {} };
  const input = isJson(given["input"]) ? given["input"] : details.run.input;
  const parents = isJson(given["parents"]) ? given["parents"] : {};
  return asPytest({
    workflowName: task.workflowName ?? details.run.displayName,
    taskName: step.name,
    runId: details.run.metadata.id,
    at: new Date(task.finishedAt ?? task.createdAt).toISOString(),
    input,
    metadata: givenMetadata(details.run.additionalMetadata),
    parents,
    output: task.status === "COMPLETED" ? task.output : null,
    error: task.errorMessage === null ? null : errorSummary(task.errorMessage),
    children: task.numSpawnedChildren === 0 ? [] : await childrenOf(tenantId, task.taskExternalId, task.createdAt),
    isDurable: defined?.is_durable ?? false,
  });
}

async function childrenOf(tenantId: string, taskId: string, createdAt: number) {
  const answer = await request(runListSchema, `/api/v1/stable/tenants/${tenantId}/workflow-runs`, {
    query: {
      parent_task_external_id: taskId,
      since: new Date(createdAt - 60_000).toISOString(),
      only_tasks: false,
      include_payloads: true,
      include_num_pages: false,
      limit: CHILDREN_MAX,
    },
  });
  return answer.rows.map((child) => ({ workflowName: child.workflowName ?? child.displayName, input: child.input, output: child.output }));
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
