/** Runs and their results: single tasks, DAGs, what failed, many at once. */

import { NonRetryableError, Priority } from '@hatchet-dev/typescript-sdk';

import { eventually } from './marks';
import { impatient, refusal, type MakeScene, type Metadata } from './scene';

export const runs: MakeScene = (hatchet) => {
  const echo = hatchet.task({
    name: 'ts-echo',
    fn: async (input: { say: string }, ctx) => ({
      said: input.say,
      metadata: ctx.additionalMetadata(),
      task: ctx.taskName(),
      workflow: ctx.workflowNameV1(),
      retryCount: ctx.retryCount(),
      priority: ctx.priority() ?? 0,
      runId: ctx.workflowRunId(),
      workerId: ctx.worker.id() ?? '',
    }),
  });

  const silent = hatchet.task({ name: 'ts-silent', fn: async () => {} });

  // The SDK lower-cases workflow names when it registers and when it triggers; task names keep their case.
  const sum = hatchet.workflow<{ start: number }>({ name: 'TS-Sum', description: 'a diamond', version: 'v2' });
  const load = sum.task({ name: 'Load', fn: async (input) => ({ value: input.start }) });
  const double = sum.task({
    name: 'double',
    parents: [load],
    fn: async (_, ctx) => ({ value: (await ctx.parentOutput(load)).value * 2 }),
  });
  const triple = sum.task({
    name: 'triple',
    parents: [load],
    fn: async (_, ctx) => ({ value: (await ctx.parentOutput(load)).value * 3 }),
  });
  sum.task({
    name: 'add',
    parents: [double, triple],
    fn: async (_, ctx) => ({
      value: (await ctx.parentOutput(double)).value + (await ctx.parentOutput(triple)).value,
      parents: Object.keys(ctx.data.parents).sort(),
    }),
  });

  const flaky = hatchet.task({
    name: 'ts-flaky',
    retries: 3,
    backoff: { factor: 2, maxSeconds: 1 },
    fn: async (input: { failures: number }, ctx) => {
      if (ctx.retryCount() < input.failures) throw new Error(`attempt ${ctx.retryCount()} fails`);
      return { attempt: ctx.retryCount() };
    },
  });

  const hopeless = hatchet.task({
    name: 'ts-hopeless',
    retries: 5,
    fn: async (_: { say: string }, ctx) => {
      throw new NonRetryableError(`no way, on attempt ${ctx.retryCount()}`);
    },
  });

  const tidy = hatchet.workflow<{ fail: boolean }>({ name: 'ts-tidy' });
  tidy.task({
    name: 'work',
    fn: async (input) => {
      if (input.fail) throw new Error('the work failed');
      return { done: true };
    },
  });
  tidy.onFailure({ name: 'clean', fn: async (_, ctx) => ({ errors: ctx.errors() }) });
  tidy.onSuccess({ name: 'praise', fn: async (_, ctx) => ({ parents: Object.keys(ctx.data.parents) }) });

  const slow = hatchet.task({
    name: 'ts-slow',
    executionTimeout: '1s',
    fn: async (_: { say: string }, ctx) => {
      await new Promise((resolve) => ctx.abortController.signal.addEventListener('abort', resolve));
      return { aborted: true };
    },
  });

  const odd = hatchet.task({
    name: 'ts-odd',
    fn: async (input: { number: number }) => {
      if (input.number % 2 === 0) throw new Error(`${input.number} is even`);
      return { number: input.number };
    },
  });

  return {
    workflows: [echo, silent, sum, flaky, hopeless, tidy, slow, odd],
    scenarios: {
      echo: ({ say, metadata }: { say: string; metadata: Metadata }) => echo.run({ say }, { additionalMetadata: metadata, priority: Priority.HIGH }),
      silent: async () => (await silent.run({})) ?? null,
      byName: ({ say }: { say: string }) => hatchet.run('ts-echo', { say }),
      unknownName: () => refusal(impatient().run('ts-nobody-knows', {})),
      sum: ({ start }: { start: number }) => sum.run({ start }),
      flaky: ({ failures }: { failures: number }) => flaky.run({ failures }),
      exhausted: () => refusal(flaky.run({ failures: 9 })),
      hopeless: () => refusal(hopeless.run({ say: 'x' })),
      tidy: async ({ fail }: { fail: boolean }) => {
        const ref = await tidy.runNoWait({ fail });
        const refused = fail ? await refusal(ref.output) : null;
        const result = fail ? null : await ref.output;
        const { status, taskRuns } = await hatchet.runs.getDetails(ref);
        return { refused, result, status, tasks: taskRuns };
      },
      slow: () => refusal(slow.run({ say: 'x' })),
      many: async ({ count }: { count: number }) =>
        (await echo.run(Array.from({ length: count }, (_, index) => ({ say: `${index}` })))).map((one) => one.said),
      runMany: async () =>
        (
          await echo.runMany([
            { input: { say: 'a' }, opts: { additionalMetadata: { who: 'first' } } },
            { input: { say: 'b' }, opts: { additionalMetadata: { who: 'second' } } },
          ])
        ).map((one) => one.metadata.who),
      returnExceptions: async () =>
        (
          await odd.run(
            [1, 2, 3].map((number) => ({ number })),
            { returnExceptions: true },
          )
        ).map((one: unknown) => (one instanceof Error ? `Error: ${one.message}` : Array.isArray(one) ? one.map(String) : one)),
      readAfterWrite: async () => {
        const ref = await echo.runNoWait({ say: 'seen' });
        const id = await ref.runId;
        const status = await hatchet.runs.get_status(id);
        const listed = await hatchet.runs.list({ workflowNames: ['ts-echo'], limit: 100 });
        await ref.output;
        const details = await eventually(async () => {
          const found = await hatchet.runs.getDetails(id);
          return found.done ? found : undefined;
        }, 'the run is done');
        return { status, isListed: listed.rows.some((row) => row.metadata.id === id), details };
      },
    },
  };
};
