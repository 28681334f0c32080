import type { Duplex } from 'node:stream';
import pg from 'pg';
import { both } from 'pg-copy-streams';

/** A consumer of a logical slot that needs a fixed time for each transaction, and confirms it then. */
export async function startSlotConsumer(
  port: number,
  { slot, publication, msPerTransaction }: { slot: string; publication: string; msPerTransaction: number },
): Promise<{ stop(): Promise<void> }> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    database: 'postgres',
    replication: 'database',
  } as pg.ClientConfig);
  client.on('error', () => undefined);
  await client.connect();
  const stream = client.query(
    both(`START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '${publication}')`, {
      alignOnCopyDataFrame: true,
    }),
  ) as unknown as Duplex;
  stream.on('error', () => undefined);
  const commits: bigint[] = [];
  // What is read ahead is bounded, so that the sender is held up as by a real consumer.
  const most = 50;
  stream.on('data', (frame: Buffer) => {
    if (String.fromCharCode(frame[0]!) === 'w' && String.fromCharCode(frame[25]!) === 'C')
      commits.push(frame.readBigUInt64BE(25 + 1 + 1 + 8));
    if (commits.length > most) stream.pause();
  });
  let freeMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    let confirmed: bigint | null = null;
    // The time of each is counted from when it could begin, so that late timers do not slow it down.
    while (commits.length > 0 && freeMs <= nowMs) {
      freeMs += msPerTransaction;
      confirmed = commits.shift()!;
    }
    if (commits.length === 0) freeMs = Math.max(freeMs, nowMs);
    if (confirmed !== null) stream.write(statusUpdate(confirmed));
    if (commits.length <= most) stream.resume();
  }, 2);
  return {
    stop: async () => {
      clearInterval(timer);
      stream.destroy();
      await client.end().catch(() => undefined);
    },
  };
}

function statusUpdate(lsn: bigint): Buffer {
  const message = Buffer.alloc(34);
  message.write('r');
  for (const at of [1, 9, 17]) message.writeBigUInt64BE(lsn, at);
  return message;
}
