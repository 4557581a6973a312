/** Tasks of a DAG that wait for more than their parents, or are skipped or cancelled by what they see. */

import { randomUUID } from 'node:crypto';

import { Or } from '@hatchet-dev/typescript-sdk';

import { eventually, heard, tell } from './marks';
import { refusalIfAny, type MakeScene } from './scene';

export const conditions: MakeScene = (hatchet) => {
  const picky = hatchet.workflow<{ number: number }>({ name: 'ts-conditions' });
  const roll = picky.task({ name: 'roll', fn: async (input) => ({ number: input.number }) });
  const low = picky.task({
    name: 'low',
    parents: [roll],
    skipIf: [{ parent: roll, expression: 'output.number > 50' }],
    fn: async () => ({ ran: true }),
  });
  const high = picky.task({
    name: 'high',
    parents: [roll],
    skipIf: [{ parent: roll, expression: 'output.number <= 50' }],
    fn: async () => ({ ran: true }),
  });
  picky.task({
    name: 'both',
    parents: [low, high],
    waitFor: [{ sleepFor: '1s' }],
    fn: async (_, ctx) => ({ low: await ctx.parentOutput(low), high: await ctx.parentOutput(high) }),
  });

  const waiting = hatchet.workflow<{ key: string }>({ name: 'ts-waiting' });
  const first = waiting.task({
    name: 'first',
    fn: async (input) => {
      tell(input.key, 'first');
      return {};
    },
  });
  waiting.task({
    name: 'second',
    parents: [first],
    waitFor: Or({ sleepFor: '10m' }, { eventKey: 'ts:go', expression: 'input.go == true' }),
    fn: async (_, ctx) => ({ triggers: ctx.triggers() }),
  });

  const stopped = hatchet.workflow({ name: 'ts-stopped' });
  const fine = stopped.task({ name: 'fine', fn: async () => ({ isBad: true }) });
  stopped.task({
    name: 'never',
    parents: [fine],
    cancelIf: [{ parent: fine, expression: 'output.isBad' }],
    fn: async () => ({ ran: true }),
  });

  return {
    workflows: [picky, waiting, stopped],
    scenarios: {
      skips: ({ number }: { number: number }) => picky.run({ number }),
      waitsForEvent: async () => {
        const key = randomUUID();
        const ref = await waiting.runNoWait({ key });
        await heard(key, 'first');
        const pushed = async () => {
          await hatchet.events.push('ts:go', { go: false });
          await hatchet.events.push('ts:go', { go: true, key });
          return (await hatchet.runs.get_status(ref)) === 'COMPLETED' ? true : undefined;
        };
        await eventually(pushed, 'the second task goes');
        return ref.output;
      },
      cancels: async () => {
        const ref = await stopped.runNoWait({});
        const refused = await refusalIfAny(ref.output);
        return { refused, status: await hatchet.runs.get_status(ref) };
      },
    },
  };
};
