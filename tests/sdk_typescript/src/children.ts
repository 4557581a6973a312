/** Child runs: fan-out, keys, and what a child knows of its parent. */

import { randomUUID } from 'node:crypto';

import { heardSoFar, tell } from './marks';
import { type MakeScene, type Metadata } from './scene';

export const children: MakeScene = (hatchet) => {
  const child = hatchet.task({
    name: 'ts-child',
    fn: async (input: { number: number; key?: string }, ctx) => {
      if (input.key !== undefined) tell(input.key, 'child', input.number);
      return {
        square: input.number * input.number,
        index: ctx.childIndex() ?? -1,
        key: ctx.childKey() ?? '',
        parent: ctx.parentWorkflowRunId() ?? '',
        metadata: ctx.additionalMetadata(),
      };
    },
  });

  const parent = hatchet.task({
    name: 'ts-parent',
    fn: async (input: { numbers: number[] }, ctx) => {
      const one = await ctx.runChild(child, { number: input.numbers[0]! });
      const many = await ctx.bulkRunChildren(
        input.numbers.map((number) => ({ workflow: 'ts-child', input: { number }, options: { key: `n${number}` } })),
      );
      const ref = await ctx.runNoWaitChild(child, { number: 9 });
      return { runId: ctx.workflowRunId(), one, many, later: await ref.output };
    },
  });

  // A parent that is tried again finds its children again instead of making new ones.
  const forgetful = hatchet.task({
    name: 'ts-forgetful',
    retries: 1,
    fn: async (input: { key: string }, ctx) => {
      const found = await ctx.bulkRunChildren(
        [1, 2].map((number) => ({ workflow: child, input: { number, key: input.key } })),
      );
      if (ctx.retryCount() === 0) throw new Error('once more');
      return { squares: found.map((one) => one.square) };
    },
  });

  const desperate = hatchet.task({
    name: 'ts-desperate',
    fn: async (_, ctx) => {
      try {
        await ctx.runChild('ts-hopeless', { say: 'x' });
        return { caught: '' };
      } catch (error) {
        return { caught: Array.isArray(error) ? error.join() : String(error) };
      }
    },
  });

  return {
    workflows: [child, parent, forgetful, desperate],
    scenarios: {
      children: ({ numbers, metadata }: { numbers: number[]; metadata: Metadata }) => parent.run({ numbers }, { additionalMetadata: metadata }),
      childrenAgain: async () => {
        const key = randomUUID();
        const result = await forgetful.run({ key });
        return { ...result, ran: heardSoFar(key, 'child') };
      },
      failedChild: () => desperate.run({}),
    },
  };
};
