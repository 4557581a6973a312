/** Cancel, replay, and what a task can ask for while it runs. */

import { randomUUID } from 'node:crypto';

import { eventually, heard, openGate, pass, tell } from './marks';
import { refusalIfAny, type MakeScene } from './scene';

export const control: MakeScene = (hatchet) => {
  const patient = hatchet.task({
    name: 'ts-patient',
    executionTimeout: '60s',
    fn: async (input: { key: string }, ctx) => {
      tell(input.key, 'started', ctx.retryCount());
      const aborted = new Promise<never>((_, reject) => {
        ctx.abortController.signal.addEventListener('abort', () => {
          tell(input.key, 'aborted');
          reject(new Error('aborted'));
        });
      });
      await Promise.race([pass(input.key), aborted]);
      return { cancelled: ctx.cancelled };
    },
  });

  const extended = hatchet.task({
    name: 'ts-extended',
    executionTimeout: '2s',
    fn: async (input: { key: string }, ctx) => {
      await ctx.refreshTimeout('30s');
      tell(input.key, 'extended');
      await pass(input.key);
      return { ok: true };
    },
  });

  const generous = hatchet.task({
    name: 'ts-generous',
    fn: async (input: { key: string }, ctx) => {
      await ctx.releaseSlot();
      tell(input.key, 'released');
      await pass(input.key);
      return { ok: true };
    },
  });

  const quitter = hatchet.task({
    name: 'ts-quitter',
    executionTimeout: '30s',
    fn: async (_: { key: string }, ctx) => {
      await ctx.cancel();
      await new Promise((resolve) => {
        if (ctx.cancelled) resolve(null);
        ctx.abortController.signal.addEventListener('abort', resolve);
      });
      return { ok: true };
    },
  });

  return {
    workflows: [patient, extended, generous, quitter],
    scenarios: {
      cancel: async () => {
        const key = randomUUID();
        const ref = await patient.runNoWait({ key });
        await heard(key, 'started');
        await ref.cancel();
        await heard(key, 'aborted');
        const refused = await refusalIfAny(ref.output);
        return { refused, status: await hatchet.runs.get_status(ref) };
      },
      hold: async () => {
        const key = randomUUID();
        const ref = await patient.runNoWait({ key });
        await heard(key, 'started');
        return { key, runId: await ref.runId };
      },
      release: async ({ key }: { key: string }) => openGate(key),
      cancelByFilter: async () => {
        const key = randomUUID();
        const since = new Date(Date.now() - 60_000);
        const refs = await patient.runNoWait([{ key }, { key }], { additionalMetadata: { group: key } });
        await heard(key, 'started', 2);
        await hatchet.runs.cancel({ filters: { since, additionalMetadata: { group: key } } });
        await heard(key, 'aborted', 2);
        return Promise.all(
          refs.map(async (ref) => {
            await refusalIfAny(ref.output);
            return hatchet.runs.get_status(ref);
          }),
        );
      },
      cancelItself: async () => {
        const ref = await quitter.runNoWait({ key: randomUUID() });
        await refusalIfAny(ref.output);
        return hatchet.runs.get_status(ref);
      },
      replay: async () => {
        const key = randomUUID();
        openGate(key);
        const ref = await patient.runNoWait({ key });
        await ref.output;
        await hatchet.runs.replay({ ids: [await ref.runId] });
        const started = await heard(key, 'started', 2);
        await eventually(
          async () => ((await hatchet.runs.get_status(ref)) === 'COMPLETED' ? true : undefined),
          'the replayed run is completed',
        );
        return { started, result: await ref.output };
      },
      refreshTimeout: async () => {
        const key = randomUUID();
        const ref = await extended.runNoWait({ key });
        await heard(key, 'extended');
        const task = await hatchet.runs.getTaskExternalId(await ref.runId);
        const { data } = await hatchet.api.v1TaskEventList(task);
        openGate(key);
        return { result: await ref.output, events: (data.rows ?? []).map((row) => row.eventType) };
      },
      releaseSlot: async () => {
        const key = randomUUID();
        const ref = await generous.runNoWait({ key });
        await heard(key, 'released');
        openGate(key);
        return ref.output;
      },
    },
  };
};
