/**
 * How task code and the scenario that watches it meet. A task tells marks and waits at gates; both run in this process,
 * so nobody waits for a clock. Names are kept apart by a key that every scenario makes up for itself.
 */

const PATIENCE_MS = 30_000;

const told = new Map<string, unknown[]>();
const open = new Set<string>();
const waiting = new Set<() => void>();

function changed(): void {
  for (const look of [...waiting]) look();
}

function until<T>(look: () => T | undefined, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      waiting.delete(attempt);
      reject(new Error(`${what}: not within ${PATIENCE_MS} ms`));
    }, PATIENCE_MS);
    const attempt = () => {
      const found = look();
      if (found === undefined) return;
      clearTimeout(timer);
      waiting.delete(attempt);
      resolve(found);
    };
    waiting.add(attempt);
    attempt();
  });
}

export function tell(key: string, what: string, data: unknown = null): void {
  const name = `${key}/${what}`;
  told.set(name, [...(told.get(name) ?? []), data]);
  changed();
}

/** What was told so far, in order. */
export function heardSoFar(key: string, what: string): unknown[] {
  return told.get(`${key}/${what}`) ?? [];
}

/** Waits until `what` was told `count` times. */
export function heard(key: string, what: string, count = 1): Promise<unknown[]> {
  return until(() => {
    const found = heardSoFar(key, what);
    return found.length >= count ? found : undefined;
  }, `${key} tells ${what} ${count} time(s)`);
}

export function openGate(key: string, gate = 'go'): void {
  open.add(`${key}/${gate}`);
  changed();
}

export function pass(key: string, gate = 'go'): Promise<true> {
  return until(() => (open.has(`${key}/${gate}`) ? true : undefined), `${key} opens ${gate}`);
}

/** Looks again and again, for what only the engine knows. */
export async function eventually<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
