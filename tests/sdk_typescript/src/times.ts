/** Runs that the clock starts: crons and scheduled runs. */

import { randomUUID } from 'node:crypto';

import { ScheduledRunStatus } from '@hatchet-dev/typescript-sdk/clients/rest/generated/data-contracts';

import { heard, heardSoFar, tell } from './marks';
import { refusal, type MakeScene } from './scene';

const soon = (ms: number) => new Date(Date.now() + ms);

export const times: MakeScene = (hatchet) => {
  const yearly = hatchet.workflow({ name: 'TS-Yearly', on: { cron: '30 12 31 12 *' } });
  yearly.task({ name: 'celebrate', fn: async () => ({}) });

  const timed = hatchet.task({
    name: 'TS-Timed',
    fn: async (input: { key: string; say: string }, ctx) => {
      tell(input.key, 'timed', { say: input.say, metadata: ctx.additionalMetadata(), priority: ctx.priority() ?? 0 });
      return { said: input.say };
    },
  });

  return {
    workflows: [yearly, timed],
    scenarios: {
      declaredCron: async () => {
        const { rows } = await hatchet.crons.list({ workflow: yearly });
        return rows?.map(({ cron, method, enabled, workflowName }) => ({ cron, method, enabled, workflowName }));
      },
      cron: async () => {
        const key = randomUUID();
        const made = await hatchet.crons.create(timed, {
          name: key,
          expression: '* * * * * *',
          input: { key, say: 'tick' },
          additionalMetadata: { by: 'cron' },
          priority: 3,
        });
        const id = made.metadata.id;
        const got = await hatchet.crons.get(id);
        const { rows } = await hatchet.crons.list({ workflow: timed });
        await heard(key, 'timed', 2);
        await hatchet.crons.delete(id);
        const gone = await refusal(hatchet.crons.get(id));
        const [first] = heardSoFar(key, 'timed');
        return {
          got: { name: got.name, cron: got.cron, method: got.method, priority: got.priority, input: got.input?.['say'] },
          isListed: rows?.some((row) => row.metadata.id === id),
          gone,
          first,
        };
      },
      cronOfDeclaration: async () => {
        const key = randomUUID();
        const made = await timed.cron(key, '0 0 1 1 *', { key, say: 'happy new year' });
        await hatchet.crons.delete(made);
        return { cron: made.cron, name: made.name };
      },
      badCron: () => refusal(hatchet.crons.create(timed, { name: randomUUID(), expression: 'whenever' })),
      schedule: async () => {
        const key = randomUUID();
        const made = await hatchet.scheduled.create('TS-Timed', {
          triggerAt: soon(700),
          input: { key, say: 'in a moment' },
          additionalMetadata: { by: 'schedule' },
        });
        const got = await hatchet.scheduled.get(made.metadata.id);
        const [seen] = await heard(key, 'timed');
        return { got: { workflow: got.workflowName, input: got.input?.['say'] }, seen };
      },
      scheduleChanges: async () => {
        const key = randomUUID();
        const far = [1, 2, 3].map((number) =>
          timed.schedule(soon(3_600_000 * number), { key, say: `${number}` }, { additionalMetadata: { group: key } }),
        );
        const [first, second, third] = await Promise.all(far);
        const { rows } = await hatchet.scheduled.list({ additionalMetadata: [`group:${key}`] });
        const updated = await hatchet.scheduled.update(first!, { triggerAt: soon(300) });
        await heard(key, 'timed');
        const bulkUpdated = await hatchet.scheduled.bulkUpdate([{ scheduledRun: second!, triggerAt: soon(7_200_000) }]);
        await hatchet.scheduled.delete(second!);
        const bulkDeleted = await hatchet.scheduled.bulkDelete({ scheduledRuns: [third!] });
        const left = await hatchet.scheduled.list({ additionalMetadata: [`group:${key}`], statuses: [ScheduledRunStatus.SCHEDULED] });
        return {
          listed: rows?.length,
          isSame: updated.metadata.id === first!.metadata.id,
          bulkUpdated: bulkUpdated.updatedIds?.length,
          bulkDeleted: bulkDeleted.deletedIds?.length,
          left: left.rows?.length,
          said: heardSoFar(key, 'timed').length,
        };
      },
      delay: async () => {
        const key = randomUUID();
        await timed.delay(1, { key, say: 'late' });
        return (await heard(key, 'timed'))[0];
      },
    },
  };
};
