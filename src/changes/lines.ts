import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { SetupError } from '../config/problem.js';

/** A line of a file, from 1. `isTorn`: the file ends without a line break behind it. */
export interface NumberedLine {
  readonly text: string;
  readonly number: number;
  readonly isTorn: boolean;
}

/**
 * The lines of a file; of standard input for `-`; unpacked where the name ends in .gz. `map`: a shell command that rewrites
 * them on the way, from its standard input to its standard output.
 * @throws SetupError where the file cannot be read, or the command fails.
 */
export async function* linesOf(file: string, map?: string): AsyncGenerator<NumberedLine> {
  const raw = file === '-' ? process.stdin : createReadStream(file);
  const failures: Error[] = [];
  let source: Readable = raw;
  let stop: () => void = () => undefined;
  const watch = (stream: Readable, name: string) =>
    stream.on('error', (error: NodeJS.ErrnoException) => {
      failures.push(SetupError.of(name, `cannot be read (${error.code ?? error.message})`));
      source.destroy();
      stop();
    });
  watch(raw, file);
  if (file.endsWith('.gz')) {
    source = raw.pipe(createGunzip());
    watch(source, file);
  }
  let ended: Promise<unknown> = Promise.resolve();
  if (map !== undefined) {
    const program = spawn(map, { shell: true, stdio: ['pipe', 'pipe', 'inherit'] });
    program.stdin.on('error', () => undefined);
    stop = () => {
      program.stdin.destroy();
      program.kill();
    };
    source.pipe(program.stdin);
    ended = new Promise<void>((resolve) => {
      program.once('error', (error) => failures.push(SetupError.of('--map', error.message)));
      program.once('close', (code, signal) => {
        if (code !== 0) failures.push(SetupError.of('--map', `the command failed with ${code ?? signal}`));
        resolve();
      });
    });
    source = program.stdout;
  }
  yield* split(source, failures);
  await ended;
  if (failures.length > 0) throw failures[0]!;
}

async function* split(source: Readable, failures: readonly Error[]): AsyncGenerator<NumberedLine> {
  let number = 0;
  let rest: Buffer[] = [];
  try {
    for await (const chunk of source) {
      const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk as string);
      let from = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
        const line = rest.length === 0 ? bytes : Buffer.concat([...rest, bytes.subarray(0, end)]);
        const text = rest.length === 0 ? line.toString('utf8', from, end) : line.toString('utf8');
        rest = [];
        from = end + 1;
        yield { text: text.endsWith('\r') ? text.slice(0, -1) : text, number: ++number, isTorn: false };
      }
      if (from < bytes.length) rest.push(bytes.subarray(from));
    }
  } catch (error) {
    throw failures[0] ?? error;
  }
  if (rest.length > 0) yield { text: Buffer.concat(rest).toString('utf8'), number: number + 1, isTorn: true };
}
