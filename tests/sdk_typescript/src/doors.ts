/** What lets events in, and in between: webhooks and filters. */

import { randomUUID } from 'node:crypto';

import { V1WebhookSourceName } from '@hatchet-dev/typescript-sdk/clients/rest/generated/data-contracts';

import { heard, heardSoFar, tell } from './marks';
import { refusal, type MakeScene } from './scene';

export const doors: MakeScene = (hatchet) => {
  const filtered = hatchet.task({
    name: 'ts-filtered',
    onEvents: ['ts:filtered'],
    defaultFilters: [{ expression: 'input.size > 10', scope: 'default', payload: { from: 'the definition' } }],
    fn: async (input: { key: string; size: number }, ctx) => {
      tell(input.key, 'filtered', { size: input.size, payload: ctx.filterPayload() });
      return {};
    },
  });

  return {
    workflows: [filtered],
    scenarios: {
      defaultFilter: async () => {
        const key = randomUUID();
        for (const size of [1, 11]) await hatchet.events.push('ts:filtered', { key, size }, { scope: 'default' });
        await heard(key, 'filtered');
        return heardSoFar(key, 'filtered');
      },
      filters: async () => {
        const key = randomUUID();
        const { metadata } = await hatchet.workflows.get(filtered);
        const made = await hatchet.filters.create({
          workflowId: metadata.id,
          expression: 'input.size < payload.limit',
          scope: key,
          payload: { limit: 5 },
        });
        const { rows } = await hatchet.filters.list({ scopes: [key] });
        const updated = await hatchet.filters.update(made.metadata.id, { expression: 'input.size < payload.limit + 1' });
        for (const size of [6, 5]) await hatchet.events.push('ts:filtered', { key, size }, { scope: key });
        await heard(key, 'filtered');
        const got = await hatchet.filters.get(made.metadata.id);
        await hatchet.filters.delete(made.metadata.id);
        const gone = await refusal(hatchet.filters.get(made.metadata.id));
        return { listed: rows?.length, expression: updated.expression, got: got.scope === key, gone, seen: heardSoFar(key, 'filtered') };
      },
      webhooks: async () => {
        const name = `ts-${randomUUID()}`;
        const made = await hatchet.webhooks.create({
          name,
          sourceName: V1WebhookSourceName.GENERIC,
          eventKeyExpression: "'ts:hook:' + input.kind",
          auth: { username: 'axe', password: 'broad' },
        });
        const { rows } = await hatchet.webhooks.list({ webhookNames: [name] });
        const updated = await hatchet.webhooks.update(name, { eventKeyExpression: "'ts:filtered'" });
        const got = await hatchet.webhooks.get(name);
        await hatchet.webhooks.delete(name);
        const gone = await refusal(hatchet.webhooks.get(name));
        return { made: made.name === name, listed: rows?.length, updated: updated.eventKeyExpression, got: got.sourceName, gone };
      },
      cel: async () => ({
        right: await hatchet.cel.debug({ expression: 'input.a == 1', input: { a: 1 } }),
        wrong: await hatchet.cel.debug({ expression: 'input.a ==', input: { a: 1 } }),
      }),
    },
  };
};
