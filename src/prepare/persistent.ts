import type pg from 'pg';
import type { Config } from '../config/load.js';
import { connectFirst, connectWaiting, Unreachable } from './connect.js';
import { ConnectionLost } from './examine.js';

/**
 * Does what comes before the first write on a session, and begins again on another one if the connection is lost meanwhile.
 * @throws Unreachable if that goes on for longer than an outage may last, and whatever `work` throws.
 */
export async function onFirstSession<Result>(
  config: Config,
  runId: string,
  { say, isOver }: { readonly say: (text: string) => void; readonly isOver: () => boolean },
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const sinceMs = performance.now();
  for (let attempt = 0; ; attempt++) {
    const connecting = attempt === 0 ? connectFirst : connectWaiting;
    const client = await connecting(config, runId, { say, isOver });
    try {
      return await work(client);
    } catch (error) {
      if (!(error instanceof ConnectionLost) || isOver()) throw error;
      if (performance.now() - sinceMs > config.generator.max_outage_seconds * 1000)
        throw new Unreachable(error.problems);
      say(`${error.message.replace(/; try again$/, '')}; beginning again`);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
