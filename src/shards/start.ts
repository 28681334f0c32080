import type pg from 'pg';
import { SetupError } from '../config/problem.js';
import { type RunStore, readShards, reportReady, startsIn } from './store.js';

export interface StartOptions {
  readonly shard: number;
  readonly of: number;
  readonly startAt: Date | null;
  readonly timeoutMs: number;
  readonly isOver: () => boolean;
  readonly step: (text: string) => void;
}

/** Some shards have not come. */
export class Missing extends SetupError {}

const LOOK_MS = 100;

/**
 * Waits until all shards are ready.
 * @returns the moment at which all of them start, on this process's clock in milliseconds; null where the wait was ended.
 * @throws Missing where some have not come in time, with their numbers.
 */
export async function startTogether(client: pg.Client, store: RunStore, options: StartOptions): Promise<number | null> {
  const { of, timeoutMs, isOver, step } = options;
  await reportReady(client, store, options);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const ms = await startsIn(client, store);
    if (ms !== null) return performance.now() + ms;
    if (isOver()) return null;
    const ready = new Set((await readShards(client, store)).flatMap(({ shard, isReady }) => (isReady ? shard : [])));
    const missing = Array.from({ length: of }, (_, index) => index + 1).filter((shard) => !ready.has(shard));
    if (performance.now() > deadline)
      throw new Missing([
        {
          place: '--shard',
          key: '',
          message: `shards ${missing.join(', ')} of ${of} have not come within ${Math.round(timeoutMs / 1000)} s (--start-timeout)`,
        },
      ]);
    step(`waiting for ${missing.length} of ${of} shards: ${missing.slice(0, MOST_NAMED).join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const MOST_NAMED = 10;
