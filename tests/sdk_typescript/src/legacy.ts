/** The way workflows were written for older versions of the SDK, which this one still takes. */

import type { Workflow } from '@hatchet-dev/typescript-sdk/workflow';

import { type MakeScene } from './scene';

export const legacy: MakeScene = (hatchet) => {
  const old: Workflow = {
    id: 'ts-legacy',
    description: 'steps in a list',
    on: { event: 'ts:legacy' },
    steps: [
      { name: 'first', retries: 1, timeout: '30s', run: async (ctx) => ({ doubled: ctx.workflowInput().number * 2 }) },
      { name: 'second', parents: ['first'], run: async (ctx) => ({ seen: ctx.stepOutput('first').doubled ?? null }) },
    ],
  };

  return {
    workflows: [old],
    scenarios: { legacy: ({ number }: { number: number }) => hatchet.run(old, { number }) },
  };
};
