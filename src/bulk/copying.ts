import { setImmediate } from 'node:timers/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** Sends rows in COPY's text format as they are made; resolves to how many the table took, rejects with what the server says. */
export async function copyIn(client: pg.Client, sql: string, pieces: Iterable<Buffer>): Promise<number> {
  const stream = client.query(copyFrom(sql, { highWaterMark: 1 << 20 }));
  const state: { failure: Error | null } = { failure: null };
  let wake: () => void = () => undefined;
  stream.on('error', (error) => {
    state.failure ??= error;
    // The stream has let go of its connection and would still write to it what waits for the socket.
    Object.assign(stream, { flushChunk: () => true });
    wake();
  });
  for (const event of ['drain', 'finish'] as const) stream.on(event, () => wake());
  const check = () => {
    if (state.failure !== null) throw state.failure;
  };
  const happens = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });
  for (const bytes of pieces) {
    check();
    // What is written lies in memory until the event loop turns: without a turn the server would wait for a whole buffer's rows to be made.
    if (stream.write(bytes)) await setImmediate();
    else await happens();
  }
  check();
  const finished = happens();
  stream.end();
  await finished;
  check();
  return stream.rowCount;
}

/** Rows of COPY's text format: a line feed stands at their ends alone. */
export function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(10, from) + 1;
    lines.push(bytes.subarray(from, end));
    from = end;
  }
  return lines;
}
