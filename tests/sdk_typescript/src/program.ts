/**
 * A worker and a client in one process, which a test talks to: one JSON request per line on standard input, one JSON
 * answer per line on standard output. Everything the SDK prints goes to standard error.
 *
 *   -> {"id": 1, "scenario": "echo", "args": {...}}
 *   <- {"id": 1, "result": ...}     or     {"id": 1, "error": "..."}
 */

import { Console } from 'node:console';
import { createInterface } from 'node:readline';

globalThis.console = new Console(process.stderr, process.stderr);

import { HatchetClient } from '@hatchet-dev/typescript-sdk';

import { children } from './children';
import { conditions } from './conditions';
import { control } from './control';
import { doors } from './doors';
import { durable } from './durable';
import { events } from './events';
import { flow } from './flow';
import { legacy } from './legacy';
import { looking } from './looking';
import { runs } from './runs';
import type { MakeScene, Scenario } from './scene';
import { speech } from './speech';
import { times } from './times';

const SCENES: MakeScene[] = [runs, control, children, events, flow, speech, looking, doors, legacy, durable, conditions, times];

function answer(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function main(): Promise<void> {
  const hatchet = HatchetClient.init();
  const scenes = SCENES.map((make) => make(hatchet));
  const scenarios = new Map(scenes.flatMap((scene) => Object.entries<Scenario>(scene.scenarios)));
  const worker = await hatchet.worker('typescript', {
    workflows: scenes.flatMap((scene) => scene.workflows),
    slots: 100,
    durableSlots: 100,
    labels: { language: 'typescript', memory: 16 },
  });
  const worked = worker.start();
  worked.catch((error: unknown) => answer({ id: 0, error: String(error) }));
  await worker.waitUntilReady();
  answer({ id: 0, result: 'ready' });

  for await (const line of createInterface({ input: process.stdin })) {
    const { id, scenario, args } = JSON.parse(line) as { id: number; scenario: string; args: never };
    const play = scenarios.get(scenario);
    if (play === undefined) {
      answer({ id, error: `there is no scenario ${scenario}` });
      continue;
    }
    play(args).then(
      (result) => answer({ id, result: result ?? null }),
      (error: unknown) =>
        answer({ id, error: error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error) }),
    );
  }
  await worker.stop();
  process.exit(0);
}

void main();
