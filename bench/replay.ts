/**
 * A program that sends again what the lanes of a run have sent (record.ts), by sockets that generate nothing and read no
 * more than the headers of messages: PORT FOLDER DEPTH. Needs trust authentication. A program, so that its CPU time is its own.
 */
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';

export interface Replayed {
  readonly operations: number;
  readonly seconds: number;
  readonly cpuMicros: number;
  readonly errors: number;
}

/** What one lane sent, cut behind each message that the server answers with ReadyForQuery. */
interface Lane {
  readonly bytes: Buffer;
  readonly startUp: Buffer;
  readonly ends: readonly number[];
  readonly operations: number;
}

const LANE = /eventgen\/[^/\0]+\/\d+\0/;
const BIND = 0x42;
const SYNC = 0x53;
const QUERY = 0x51;

function lanesIn(folder: string): Lane[] {
  return readdirSync(folder)
    .sort()
    .flatMap((file): Lane[] => {
      const bytes = readFileSync(path.join(folder, file));
      const from = bytes.length < 8 ? 0 : bytes.readInt32BE(0);
      const startUp = bytes.subarray(0, from);
      if (!LANE.test(startUp.toString('latin1'))) return [];
      const ends: number[] = [];
      let operations = 0;
      let hasBind = false;
      for (let at = from; at + 5 <= bytes.length; ) {
        const type = bytes[at]!;
        at += bytes.readInt32BE(at + 1) + 1;
        if (at > bytes.length) break;
        hasBind ||= type === BIND;
        if (type !== SYNC && type !== QUERY) continue;
        ends.push(at);
        if (hasBind) operations++;
        hasBind = false;
      }
      return [{ bytes, startUp, ends, operations }];
    });
}

const READY = 0x5a;
const ERROR = 0x45;

/** Sends what a lane sent, at most `depth` answers ahead. Returns the number of errors that the server answered. */
function replayLane({ bytes, startUp, ends }: Lane, port: number, depth: number, began: () => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    const header = Buffer.alloc(5);
    let [have, left, errors, sent] = [0, 0, 0, 0];
    // The first answer ends the start-up.
    let answered = -1;
    const fill = () => {
      if (answered < 0 || sent - answered > depth / 2) return;
      const to = Math.min(ends.length, answered + depth);
      if (to <= sent) return;
      began();
      socket.write(bytes.subarray(sent === 0 ? startUp.length : ends[sent - 1]!, ends[to - 1]));
      sent = to;
    };
    socket.write(startUp);
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      for (let at = 0; at < chunk.length; ) {
        if (left > 0) {
          const skipped = Math.min(left, chunk.length - at);
          at += skipped;
          left -= skipped;
          continue;
        }
        const taken = Math.min(header.length - have, chunk.length - at);
        chunk.copy(header, have, at, at + taken);
        have += taken;
        at += taken;
        if (have < header.length) continue;
        have = 0;
        left = header.readInt32BE(1) - 4;
        if (header[0] === ERROR) errors++;
        if (header[0] === READY) answered++;
      }
      if (answered < ends.length) fill();
      else {
        socket.destroy();
        resolve(errors);
      }
    });
  });
}

async function replay(port: number, folder: string, depth: number): Promise<Replayed> {
  const lanes = lanesIn(folder);
  const operations = lanes.reduce((sum, lane) => sum + lane.operations, 0);
  let beganMs: number | null = null;
  const before = process.cpuUsage();
  const errors = await Promise.all(
    lanes.map((lane) => replayLane(lane, port, depth, () => (beganMs ??= performance.now()))),
  );
  const seconds = (performance.now() - beganMs!) / 1000;
  const { user, system } = process.cpuUsage(before);
  return {
    operations,
    seconds,
    cpuMicros: (user + system) / operations,
    errors: errors.reduce((sum, each) => sum + each, 0),
  };
}

const [port, folder, depth] = process.argv.slice(2);
console.log(JSON.stringify(await replay(Number(port), folder!, Number(depth))));
