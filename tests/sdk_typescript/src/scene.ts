/** What a file of scenarios offers: workflows for the worker, and scenarios that a test can ask for by name. */

import { HatchetClient, type CreateWorkerOpts } from '@hatchet-dev/typescript-sdk';

/** Arguments and results cross a process boundary as JSON; the test and the scenario agree on their shape. */
export type Scenario = (args: never) => Promise<unknown>;

export interface Scene {
  workflows: NonNullable<CreateWorkerOpts['workflows']>;
  scenarios: Record<string, Scenario>;
}

export type MakeScene = (hatchet: HatchetClient) => Scene;

export type Metadata = Record<string, string>;

/** A client that gives up at once; the others try eight times, also what will never succeed. */
export function impatient(): HatchetClient {
  return HatchetClient.init({ retrier: { maxAttempts: 1 } });
}

/** What a rejected promise said: the SDK rejects with errors, and for runs with an array of texts. */
/** What the work was refused with, null if it was not. */
export async function refusalIfAny(work: Promise<unknown>): Promise<{ name: string; said: string[] } | null> {
  const isRefused = await work.then(
    () => false,
    () => true,
  );
  return isRefused ? refusal(work) : null;
}

export async function refusal(work: Promise<unknown>): Promise<{ name: string; said: string[] }> {
  const outcome = await work.then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
  if ('result' in outcome) throw new Error(`it was not refused: ${JSON.stringify(outcome.result)}`);
  const { error } = outcome;
  if (Array.isArray(error)) return { name: 'Array', said: error.map(String) };
  if (error instanceof Error) return { name: error.constructor.name, said: [error.message] };
  return { name: typeof error, said: [String(error)] };
}
