/** The SDK's clients of the REST API. */

import { randomUUID } from 'node:crypto';

import { V1TaskStatus } from '@hatchet-dev/typescript-sdk/clients/rest/generated/data-contracts';

import { heard, openGate, pass, tell } from './marks';
import { impatient, refusal, type MakeScene, type Metadata } from './scene';

export const looking: MakeScene = (hatchet) => {
  const watched = hatchet.workflow<{ key: string }>({ name: 'ts-watched', description: 'for looking at' });
  const first = watched.task({
    name: 'first',
    fn: async (input) => {
      tell(input.key, 'first');
      await pass(input.key);
      return { at: 'first' };
    },
  });
  watched.task({ name: 'second', parents: [first], fn: async () => ({ at: 'second' }) });

  const brief = hatchet.workflow({ name: 'ts-brief' });
  brief.task({ name: 'only', fn: async () => ({}) });

  return {
    workflows: [watched, brief],
    scenarios: {
      run: async ({ metadata }: { metadata: Metadata }) => {
        const key = randomUUID();
        const ref = await watched.runNoWait({ key }, { additionalMetadata: metadata });
        const id = await ref.runId;
        await heard(key, 'first');
        const during = await hatchet.runs.get(id);
        openGate(key);
        await ref.output;
        const after = await hatchet.runs.get(id);
        const found = await hatchet.runs.list({
          additionalMetadata: metadata,
          onlyTasks: false,
          includePayloads: true,
          since: new Date(Date.now() - 60_000),
        });
        const failed = await hatchet.runs.list({ additionalMetadata: metadata, statuses: [V1TaskStatus.FAILED] });
        return {
          id,
          during: { status: during.run.status, tasks: during.tasks.length, shape: during.shape.length },
          after: { status: after.run.status, tasks: after.tasks.map((task) => task.status) },
          found: found.rows.map((row) => ({ id: row.metadata.id, output: row.output })),
          failed: failed.rows.length,
        };
      },
      workflow: async () => {
        const got = await hatchet.workflows.get(watched);
        const listed = await hatchet.workflows.list({ limit: 200 });
        const isListed = listed.rows?.some((row) => row.metadata.id === got.metadata.id);
        return { got, isListed, viaDeclaration: await watched.get() };
      },
      deleteWorkflow: async () => {
        await hatchet.workflows.get('ts-brief');
        await hatchet.workflows.delete('ts-brief');
        return refusal(impatient().run('ts-brief', {}));
      },
      workers: async () => {
        const { rows } = await hatchet.workers.list();
        const mine = rows?.find((row) => row.name === 'typescript' && row.status === 'ACTIVE');
        if (mine === undefined) return { rows };
        return { got: await hatchet.workers.get(mine.metadata.id), isPaused: await hatchet.workers.isPaused(mine.metadata.id) };
      },
      metrics: async () => ({
        tasks: await hatchet.metrics.getTaskStatusMetrics({ since: new Date(Date.now() - 3_600_000).toISOString() }),
        queues: await hatchet.metrics.getQueueMetrics(),
        stats: Object.keys(await hatchet.metrics.getTaskStats()),
        prometheus: await hatchet.metrics.scrapePrometheusMetrics(),
      }),
      tenant: () => hatchet.tenant.get(),
    },
  };
};
