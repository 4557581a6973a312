/** What a task says while it runs: streamed chunks and log lines. */

import { randomUUID } from 'node:crypto';

import { eventually, heard, openGate, pass, tell } from './marks';
import { type MakeScene } from './scene';

export const speech: MakeScene = (hatchet) => {
  const talker = hatchet.task({
    name: 'ts-talker',
    fn: async (input: { key: string; words: string[] }, ctx) => {
      tell(input.key, 'started');
      // What is streamed before somebody listens is gone, so it knocks until it is heard.
      let isHeard = false;
      void pass(input.key).then(() => {
        isHeard = true;
      });
      while (!isHeard) {
        await ctx.putStream('knock');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      for (const word of input.words) await ctx.putStream(word);
      await ctx.putStream(new TextEncoder().encode('¡fin!'));
      return { count: input.words.length };
    },
  });

  const logger = hatchet.task({
    name: 'ts-logger',
    fn: async (_: { key: string }, ctx) => {
      await ctx.logger.info('a plain line', { colour: 'green' });
      await ctx.logger.warn('a warning');
      await ctx.log('an old way');
      return {};
    },
  });

  return {
    workflows: [talker, logger],
    scenarios: {
      stream: async ({ words }: { words: string[] }) => {
        const key = randomUUID();
        const ref = await talker.runNoWait({ key, words });
        await heard(key, 'started');
        const chunks: string[] = [];
        for await (const chunk of hatchet.runs.subscribeToStream(await ref.runId)) {
          openGate(key);
          if (chunk !== 'knock') chunks.push(chunk);
        }
        return { chunks, result: await ref.output };
      },
      runStream: async ({ words }: { words: string[] }) => {
        const key = randomUUID();
        const ref = await talker.runNoWait({ key, words });
        await heard(key, 'started');
        const types: string[] = [];
        for await (const event of await ref.stream()) {
          openGate(key);
          if (event.payload !== 'knock') types.push(String(event.type));
        }
        return types;
      },
      logs: async () => {
        const ref = await logger.runNoWait({ key: randomUUID() });
        await ref.output;
        const task = await hatchet.runs.getTaskExternalId(await ref.runId);
        return eventually(async () => {
          const { rows } = await hatchet.logs.list(task);
          return (rows?.length ?? 0) >= 3 ? rows?.map(({ message, level, metadata }) => ({ message, level, metadata })) : undefined;
        }, 'the lines are there');
      },
    },
  };
};
