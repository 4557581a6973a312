/** A program without an engine: the SDK starts one, uses it and stops it. */

import { HatchetEmbeddedClient } from '@hatchet-dev/typescript-sdk/v1/embedded';

async function main(dataDir: string): Promise<void> {
  const started = Date.now();
  const hatchet = await HatchetEmbeddedClient.init({ postgresDataDir: dataDir });
  const readyMs = Date.now() - started;
  const echo = hatchet.task({ name: 'ts-embedded', fn: async (input: { say: string }) => ({ said: input.say }) });
  const worker = await hatchet.worker('embedded', { workflows: [echo], handleKill: false });
  void worker.start();
  await worker.waitUntilReady();
  const result = await echo.run({ say: 'axe' });
  await worker.stop();
  await hatchet.stopEmbedded();
  process.stdout.write(`${JSON.stringify({ readyMs, result })}\n`);
  process.exit(0);
}

void main(process.argv[2]!);
