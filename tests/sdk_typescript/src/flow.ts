/** Flow control: concurrency, rate limits, batches, labels, sticky children, idempotency keys. */

import { randomUUID } from 'node:crypto';

import {
  ConcurrencyLimitStrategy,
  CreateBatchTaskWorkflow,
  IdempotencyCollisionError,
  WorkerLabelComparator,
} from '@hatchet-dev/typescript-sdk';
import { RateLimitDuration } from '@hatchet-dev/typescript-sdk/protoc/v1/workflows';

import { heard, heardSoFar, openGate, pass, tell } from './marks';
import { refusalIfAny, type MakeScene } from './scene';

type Keyed = { key: string; number: number };

export const flow: MakeScene = (hatchet) => {
  const turns = hatchet.task({
    name: 'ts-turns',
    concurrency: {
      expression: 'input.key',
      maxRuns: 1,
      limitStrategy: ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN,
    },
    fn: async (input: Keyed) => {
      tell(input.key, 'in', input.number);
      await pass(input.key, `out${input.number}`);
      return { number: input.number };
    },
  });

  const bouncer = hatchet.workflow<Keyed>({
    name: 'ts-bouncer',
    concurrency: [
      { expression: 'input.key', maxRuns: 1, limitStrategy: ConcurrencyLimitStrategy.CANCEL_NEWEST },
    ],
  });
  bouncer.task({
    name: 'enter',
    fn: async (input) => {
      tell(input.key, 'in', input.number);
      await pass(input.key);
      return { number: input.number };
    },
  });

  const limited = hatchet.task({
    name: 'ts-limited',
    rateLimits: [{ staticKey: 'ts-static', units: 1 }],
    fn: async (input: Keyed) => {
      tell(input.key, 'through', input.number);
      return {};
    },
  });

  const perUser = hatchet.task({
    name: 'ts-per-user',
    rateLimits: [{ dynamicKey: 'input.key', units: 1, limit: 1, duration: RateLimitDuration.HOUR }],
    fn: async (input: Keyed) => {
      tell(input.key, 'through', input.number);
      return {};
    },
  });

  const batch = CreateBatchTaskWorkflow(
    {
      name: 'ts-batch',
      batch: { maxSize: 3, maxInterval: '20s', groupKey: 'input.key', broadcastOutput: false },
      fn: async (inputs: Record<string, Keyed>) => {
        const size = Object.keys(inputs).length;
        return Object.fromEntries(Object.entries(inputs).map(([id, one]) => [id, { twice: one.number * 2, size }]));
      },
    },
    hatchet,
  );

  const picky = hatchet.task({
    name: 'ts-picky',
    desiredWorkerLabels: {
      memory: { value: 8, required: true, comparator: WorkerLabelComparator.GREATER_THAN },
      language: { value: 'typescript', required: true },
    },
    fn: async (_: { key: string }, ctx) => ({ labels: ctx.worker.labels() as Record<string, string> }),
  });

  const impossible = hatchet.task({
    name: 'ts-impossible',
    scheduleTimeout: '1s',
    desiredWorkerLabels: { memory: { value: 64, required: true, comparator: WorkerLabelComparator.GREATER_THAN } },
    fn: async (_: { key: string }) => ({}),
  });

  const here = hatchet.workflow({ name: 'ts-here', sticky: 'soft' });
  here.task({ name: 'where', fn: async (_, ctx) => ({ workerId: ctx.worker.id() ?? '' }) });
  const together = hatchet.task({
    name: 'ts-together',
    sticky: 'hard',
    fn: async (_: { key: string }, ctx) => {
      const child = (await ctx.runChild(here, {}, { sticky: true })) as { where: { workerId: string } };
      return { mine: ctx.worker.id() ?? '', childs: child.where.workerId };
    },
  });

  const once = hatchet.task({
    name: 'ts-once',
    idempotency: { strategy: 'ttl', expression: 'input.key', ttlMs: 60_000 },
    fn: async (input: Keyed) => ({ number: input.number }),
  });

  return {
    workflows: [turns, bouncer, limited, perUser, batch, picky, impossible, here, together, once],
    scenarios: {
      turns: async () => {
        const key = randomUUID();
        const refs = await turns.runNoWait([1, 2, 3].map((number) => ({ key, number })));
        const statuses: string[] = [];
        for (const count of [1, 2, 3]) {
          const entered = await heard(key, 'in', count);
          const seen = await Promise.all(refs.map((ref) => hatchet.runs.get_status(ref)));
          statuses.push(seen.sort().join(' '));
          openGate(key, `out${entered.at(-1) as number}`);
        }
        const results = await Promise.all(refs.map((ref) => ref.output));
        return { statuses, numbers: results.map((one) => one.number).sort() };
      },
      bouncer: async () => {
        const key = randomUUID();
        const first = await bouncer.runNoWait({ key, number: 1 });
        await heard(key, 'in');
        const second = await bouncer.runNoWait({ key, number: 2 });
        const refused = await refusalIfAny(second.output);
        openGate(key);
        await first.output;
        return { refused, status: await hatchet.runs.get_status(second), entered: heardSoFar(key, 'in') };
      },
      rateLimit: async () => {
        const key = randomUUID();
        await hatchet.ratelimits.upsert({ key: 'ts-static', limit: 2, duration: RateLimitDuration.HOUR });
        const refs = await limited.runNoWait([1, 2, 3].map((number) => ({ key, number })));
        await heard(key, 'through', 2);
        const { rows } = await hatchet.ratelimits.list({});
        const row = rows?.find((one) => one.key === 'ts-static');
        await hatchet.runs.cancel({ ids: await Promise.all(refs.map((ref) => ref.runId)) });
        return { through: heardSoFar(key, 'through').length, row };
      },
      dynamicRateLimit: async () => {
        const [one, other] = [randomUUID(), randomUUID()];
        const refs = await perUser.runNoWait(
          [one, one, other].map((key, number) => ({ key, number })),
        );
        await Promise.all([heard(one, 'through'), heard(other, 'through')]);
        await hatchet.runs.cancel({ ids: await Promise.all(refs.map((ref) => ref.runId)) });
        return [heardSoFar(one, 'through').length, heardSoFar(other, 'through').length];
      },
      batch: async () => {
        const key = randomUUID();
        return batch.run([1, 2, 3].map((number) => ({ key, number })) );
      },
      labels: () => picky.run({ key: 'x' }),
      impossible: async () => {
        const ref = await impossible.runNoWait({ key: 'x' });
        await refusalIfAny(ref.output);
        return hatchet.runs.get_status(ref);
      },
      sticky: () => together.run({ key: 'x' }),
      idempotency: async () => {
        const key = randomUUID();
        const first = await once.runNoWait({ key, number: 1 });
        const runId = await first.runId;
        try {
          await (await once.runNoWait({ key, number: 2 })).runId;
          return { runId, existing: null };
        } catch (error) {
          if (!(error instanceof IdempotencyCollisionError)) throw error;
          return { runId, existing: error.existingRunExternalId, result: await first.output };
        }
      },
    },
  };
};
