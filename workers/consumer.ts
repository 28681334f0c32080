import type { Duplex } from 'node:stream';
import { workerData } from 'node:worker_threads';
import pg from 'pg';
import { both } from 'pg-copy-streams';

/** What the consumer reads. */
export interface ConsumerTask {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly slot: string;
  readonly publication: string;
}

/* Change-data-capture tools confirm at intervals of their own. */
const CONFIRM_MS = 1000;

/* Messages of the stream: a keep-alive, data; and among the data, a commit. Source: "Streaming Replication Protocol" and
   "Logical Replication Message Formats" in PostgreSQL's manual. */
const KEEP_ALIVE = 'k'.charCodeAt(0);
const DATA = 'w'.charCodeAt(0);
const DATA_AT = 25;
const COMMIT = 'C'.charCodeAt(0);
const COMMIT_END_AT = DATA_AT + 1 + 1 + 8;

const { slot, publication, ...connection } = workerData as ConsumerTask;
const client = new pg.Client({ ...connection, ssl: false, replication: 'database' } as pg.ClientConfig);
client.on('error', () => undefined);
await client.connect();
const stream = client.query(
  both(`START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '${publication}')`, {
    alignOnCopyDataFrame: true,
  }),
) as unknown as Duplex;
stream.on('error', () => undefined);
let seen = 0n;
stream.on('data', (frame: Buffer) => {
  if (frame[0] === DATA && frame[DATA_AT] === COMMIT) seen = frame.readBigUInt64BE(COMMIT_END_AT);
  // Everything before it has been sent, so that an idle consumer is not behind.
  if (frame[0] === KEEP_ALIVE) seen = frame.readBigUInt64BE(1);
});
setInterval(() => {
  const update = Buffer.alloc(34);
  update.write('r');
  for (const at of [1, 9, 17]) update.writeBigUInt64BE(seen, at);
  stream.write(update);
}, CONFIRM_MS);
