import type { Database } from './database.js';

/** Rows inserted, updated and deleted in one table, as logical decoding shows them. */
export interface Decoded {
  insert: number;
  update: number;
  delete: number;
  /** Values of updated rows that lie out of line and were left as they are. */
  unchanged: number;
}

/** What a change-data consumer of all tables sees from now on: a logical replication slot, read through pgoutput. */
export async function watchChanges(database: Database) {
  const slot = `watch_${database.name}`;
  const { client } = database;
  await client.query('CREATE PUBLICATION everything FOR ALL TABLES');
  await client.query('SELECT pg_create_logical_replication_slot($1, $2)', [slot, 'pgoutput']);
  return {
    /** Everything committed since, by `schema.table`; ends the watch. */
    async read(): Promise<{ readonly tables: Record<string, Decoded>; readonly transactions: number }> {
      const { rows } = await client.query<{ data: Buffer }>(
        `SELECT data FROM pg_logical_slot_get_binary_changes('${slot}', NULL, NULL, 'proto_version', '1', 'publication_names', 'everything')`,
      );
      await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
      await client.query('DROP PUBLICATION everything');
      return count(rows.map(({ data }) => data));
    },
  };
}

/* Messages of the logical replication protocol begin with a letter and, for rows, the relation's OID. */
const KINDS = { I: 'insert', U: 'update', D: 'delete' } as const;

function count(messages: readonly Buffer[]) {
  const names = new Map<number, string>();
  const tables: Record<string, Decoded> = {};
  let transactions = 0;
  for (const message of messages) {
    const letter = String.fromCharCode(message[0]!);
    if (letter === 'C') transactions++;
    if (letter === 'R') {
      const [schema, table] = message.toString('utf8', 5).split('\0', 2) as [string, string];
      names.set(message.readUInt32BE(1), `${schema}.${table}`);
    }
    const kind = KINDS[letter as keyof typeof KINDS];
    if (kind === undefined) continue;
    const name = names.get(message.readUInt32BE(1))!;
    tables[name] ??= { insert: 0, update: 0, delete: 0, unchanged: 0 };
    tables[name][kind]++;
    if (kind === 'update' && message[5] === NEW_TUPLE) tables[name].unchanged += unchangedIn(message.subarray(6));
  }
  return { tables, transactions };
}

const NEW_TUPLE = 78;
const TEXT = 116;
const UNCHANGED = 117;

/** A tuple: the number of columns, then for each a letter and, for a text, its length and bytes. */
function unchangedIn(tuple: Buffer): number {
  let found = 0;
  let at = 2;
  for (let column = 0; column < tuple.readInt16BE(0); column++) {
    const letter = tuple[at++];
    if (letter === UNCHANGED) found++;
    if (letter === TEXT) at += 4 + tuple.readInt32BE(at);
  }
  return found;
}
