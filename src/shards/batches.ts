import type pg from 'pg';
import type { Entry } from '../bulk/journal.js';
import type { StoredNotesSettings } from '../bulk/notes.js';
import { logsOf, shardIsOurs } from './progress.js';
import type { RunStore } from './store.js';

/** Returns how the lanes of a shard note the transactions of a load in the table that holds the log of a run's lanes. */
export function batchNotes({ schema, runId }: RunStore, shard: number, incarnation: number): StoredNotesSettings {
  const logs = logsOf(schema);
  return {
    runId,
    insert: `INSERT INTO ${logs} (run_id, lane, lines) SELECT $1::text, $2::int, $3::text WHERE ${shardIsOurs(schema, shard, incarnation)}`,
    // A lane has one transaction at a time, so that its last note is the one in question.
    find: `SELECT FROM ${logs} AS l WHERE l.run_id = $1 AND l.lane = $2 AND l.lines = $3
      AND l.id = (SELECT max(id) FROM ${logs} WHERE run_id = $1 AND lane = $2)`,
  };
}

/** Reads what the process before has committed of a load, by lane in its order. */
export async function readBatches(
  client: pg.Client,
  { schema, runId }: RunStore,
  lanes: readonly number[],
): Promise<Entry[]> {
  const { rows } = await client.query<{ lines: string }>(
    `SELECT lines FROM ${logsOf(schema)} WHERE run_id = $1 AND lane = ANY ($2) ORDER BY lane, id`,
    [runId, lanes],
  );
  return rows.map(({ lines }) => JSON.parse(lines) as Entry);
}
