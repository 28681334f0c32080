import type pg from 'pg';
import { SetupError } from '../config/problem.js';
import { type RunStore, readShards, reportReady, startsIn, takeBackReady } from './store.js';

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
const MOST_NAMED = 10;
/* Who comes later than this would make up for what it has missed, all at once. */
const LATE_MS = 1000;

/**
 * Waits until all shards are ready. `session` gives the session to ask with: it may be another one after a lost connection.
 * @returns the moment at which all of them start, on this process's clock in milliseconds; null where the wait was ended.
 * @throws Missing where some have not come in time, with their numbers; SetupError where the others have started already.
 */
export async function startTogether(
  session: () => pg.Client,
  store: RunStore,
  options: StartOptions,
): Promise<number | null> {
  const { shard, of, timeoutMs, isOver, step } = options;
  const deadline = performance.now() + timeoutMs;
  for (let isReady = false; ; await new Promise((resolve) => setTimeout(resolve, LOOK_MS))) {
    try {
      if (isOver()) {
        await takeBackReady(session(), store, shard);
        return null;
      }
      if (!isReady) await reportReady(session(), store, options);
      isReady = true;
      const ms = await startsIn(session(), store);
      if (ms !== null && ms < -LATE_MS) throw tooLate(store, shard);
      if (ms !== null) return performance.now() + ms;
      const ready = new Set((await readShards(session(), store)).flatMap((each) => (each.isReady ? each.shard : [])));
      const missing = Array.from({ length: of }, (_, index) => index + 1).filter((each) => !ready.has(each));
      if (performance.now() > deadline) {
        await takeBackReady(session(), store, shard);
        throw missed(missing, of, timeoutMs);
      }
      // One that has gone and come again has completed the number without saying so.
      if (missing.length === 0) isReady = false;
      step(`waiting for ${missing.length} of ${of} shards: ${missing.slice(0, MOST_NAMED).join(', ')}`);
    } catch (error) {
      // The server may be away for a while; the fence finds a session again.
      if (error instanceof SetupError || performance.now() > deadline) throw error;
      isReady = false;
    }
  }
}

function tooLate({ runId }: RunStore, shard: number): SetupError {
  return SetupError.of(
    '--shard',
    `run ${runId} has started without shard ${shard}; stop the other shards and start a new run with a new --run-id`,
  );
}

function missed(missing: readonly number[], of: number, timeoutMs: number): Missing {
  const message = `shards ${missing.join(', ')} of ${of} did not start within ${Math.round(timeoutMs / 1000)} s (--start-timeout)`;
  return new Missing([{ place: '--shard', key: '', message }]);
}
