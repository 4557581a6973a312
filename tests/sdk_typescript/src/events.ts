/** Events that start runs. */

import { randomUUID } from 'node:crypto';

import { eventually, heard, tell } from './marks';
import { type MakeScene, type Metadata } from './scene';

export const events: MakeScene = (hatchet) => {
  const watcher = hatchet.task({
    name: 'ts-watcher',
    onEvents: ['ts:user:*'],
    fn: async (input: { key: string; number?: number }, ctx) => {
      tell(input.key, 'event', {
        number: input.number ?? null,
        eventKey: ctx.triggeringEventKey() ?? '',
        eventId: ctx.triggeringEventId() ?? '',
        metadata: ctx.additionalMetadata(),
      });
      return {};
    },
  });

  return {
    workflows: [watcher],
    scenarios: {
      event: async ({ metadata }: { metadata: Metadata }) => {
        const key = randomUUID();
        const event = await hatchet.events.push('ts:user:create', { key }, { additionalMetadata: metadata });
        const [seen] = await heard(key, 'event');
        const listed = await eventually(async () => {
          const { rows } = await hatchet.events.list({ keys: ['ts:user:create'], limit: 100 });
          return rows?.find((row) => row.metadata.id === event.eventId);
        }, 'the event is listed');
        return { eventId: event.eventId, seen, listed };
      },
      bulkEvents: async () => {
        const key = randomUUID();
        const { events: pushed } = await hatchet.events.bulkPush('ts:user:update', [
          { payload: { key, number: 1 }, additionalMetadata: { nth: 'one' } },
          { payload: { key, number: 2 }, additionalMetadata: { nth: 'two' } },
        ]);
        const seen = (await heard(key, 'event', 2)) as { number: number; metadata: Record<string, string> }[];
        return { pushed: pushed.length, seen: seen.sort((a, b) => a.number - b.number) };
      },
    },
  };
};
