/** Durable tasks: sleeping, waiting for events, children, and what they remember. */

import { randomUUID } from 'node:crypto';

import { Or, SleepCondition, UserEventCondition } from '@hatchet-dev/typescript-sdk';

import { eventually, heard, heardSoFar, tell } from './marks';
import { refusalIfAny, type MakeScene } from './scene';

export const durable: MakeScene = (hatchet) => {
  const doubled = hatchet.task({
    name: 'ts-doubled',
    fn: async (input: { number: number }) => ({ doubled: input.number * 2 }),
  });

  const sleeper = hatchet.durableTask({
    name: 'ts-sleeper',
    executionTimeout: '60s',
    fn: async (input: { key: string; seconds: number }, ctx) => {
      const before = await ctx.now();
      tell(input.key, 'asleep', ctx.invocationCount);
      const slept = await ctx.sleepFor({ seconds: input.seconds });
      const after = await ctx.now();
      return { slept: slept.durationMs, passed: after.getTime() - before.getTime(), invocation: ctx.invocationCount };
    },
  });

  // Evicted while it sleeps, it is run again from the start and must find what it did before.
  const evicted = hatchet.durableTask({
    name: 'ts-evicted',
    executionTimeout: '60s',
    evictionPolicy: { ttl: '1s', allowCapacityEviction: true },
    fn: async (input: { key: string; seconds: number }, ctx) => {
      const first = await ctx.now();
      const child = await ctx.spawnChild(doubled, { number: 21 });
      tell(input.key, 'began', { invocation: ctx.invocationCount, first: first.getTime() });
      await ctx.sleepFor({ seconds: input.seconds });
      return { first: first.getTime(), child: child.doubled, invocation: ctx.invocationCount };
    },
  });

  const listener = hatchet.durableTask({
    name: 'ts-listener',
    executionTimeout: '60s',
    fn: async (input: { key: string }, ctx) => {
      tell(input.key, 'listens');
      const event = await ctx.waitForEvent('ts:answer', `input.key == '${input.key}' && input.number > 1`);
      return { event };
    },
  });

  const chooser = hatchet.durableTask({
    name: 'ts-chooser',
    executionTimeout: '60s',
    fn: async (input: { key: string; seconds: number }, ctx) => {
      tell(input.key, 'chooses');
      const won = await ctx.waitFor(
        Or(
          new SleepCondition({ seconds: input.seconds }, 'slept'),
          new UserEventCondition('ts:choice', `input.key == '${input.key}'`, 'chosen'),
        ),
      );
      return { won };
    },
  });

  const family = hatchet.durableTask({
    name: 'ts-family',
    executionTimeout: '60s',
    fn: async (input: { numbers: number[] }, ctx) => {
      const one = await ctx.spawnChild(doubled, { number: input.numbers[0]! });
      const many = await ctx.spawnChildren<{ number: number }, { doubled: number }>(
        input.numbers.map((number) => ({ workflow: doubled, input: { number } })),
      );
      return { one, many };
    },
  });

  const ordered = hatchet.workflow<{ key: string }>({ name: 'ts-ordered' });
  const start = ordered.task({ name: 'start', fn: async () => ({ value: 1 }) });
  const nap = ordered.durableTask({
    name: 'nap',
    executionTimeout: '30s',
    parents: [start],
    fn: async (_, ctx) => {
      await ctx.sleepFor('1s');
      return { value: (await ctx.parentOutput(start)).value + 1 };
    },
  });
  ordered.task({ name: 'end', parents: [nap], fn: async (_, ctx) => ({ value: (await ctx.parentOutput(nap)).value + 1 }) });

  return {
    workflows: [doubled, sleeper, evicted, listener, chooser, family, ordered],
    scenarios: {
      sleep: async () => sleeper.run({ key: randomUUID(), seconds: 1 }),
      dozeOff: async () => {
        const key = randomUUID();
        const ref = await sleeper.runNoWait({ key, seconds: 3 });
        await heard(key, 'asleep');
        return { key, runId: await ref.runId };
      },
      eviction: async () => {
        const key = randomUUID();
        const ref = await evicted.runNoWait({ key, seconds: 3 });
        await heard(key, 'began', 2);
        return { result: await ref.output, began: heardSoFar(key, 'began') };
      },
      restore: async () => {
        const key = randomUUID();
        const ref = await evicted.runNoWait({ key, seconds: 600 });
        await eventually(
          async () => ((await hatchet.runs.getDetails(ref)).isEvicted ? true : undefined),
          'the task is evicted',
        );
        const { data } = await hatchet.runs.restoreTask(await hatchet.runs.getTaskExternalId(await ref.runId));
        await heard(key, 'began', 2);
        await ref.cancel();
        return { requeued: data.requeued, refused: await refusalIfAny(ref.output) };
      },
      durableEvent: async () => {
        const key = randomUUID();
        const ref = await listener.runNoWait({ key });
        await heard(key, 'listens');
        const pushed = async () => {
          // A wait counts from when the engine has it, so what does not match and what does are pushed until it ends.
          await hatchet.events.push('ts:answer', { key, number: 1 });
          await hatchet.events.push('ts:answer', { key, number: 2 });
          return (await hatchet.runs.get_status(ref)) === 'COMPLETED' ? true : undefined;
        };
        await eventually(pushed, 'the listener hears');
        return ref.output;
      },
      choiceOfSleep: () => chooser.run({ key: randomUUID(), seconds: 1 }),
      choiceOfEvent: async () => {
        const key = randomUUID();
        const ref = await chooser.runNoWait({ key, seconds: 600 });
        await heard(key, 'chooses');
        const pushed = async () => {
          await hatchet.events.push('ts:choice', { key });
          return (await hatchet.runs.get_status(ref)) === 'COMPLETED' ? true : undefined;
        };
        await eventually(pushed, 'the chooser hears');
        return ref.output;
      },
      durableChildren: ({ numbers }: { numbers: number[] }) => family.run({ numbers }),
      durableInDag: () => ordered.run({ key: '' }),
      cancelAsleep: async () => {
        const key = randomUUID();
        const ref = await sleeper.runNoWait({ key, seconds: 600 });
        await heard(key, 'asleep');
        await ref.cancel();
        const refused = await refusalIfAny(ref.output);
        return { refused, status: await hatchet.runs.get_status(ref) };
      },
    },
  };
};
