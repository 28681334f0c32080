import { spawn } from 'node:child_process';
import type { CommandTarget } from '../../config/replication.js';
import { heartbeatTable } from '../table.js';
import type { Eye, EyeOptions } from './eye.js';

/* More than a number is a mistake. */
const MOST_BYTES = 10_000;
const SHOWN = 200;

/** Looks at a target through a program of the user's, which prints the number of the newest heartbeat that it holds. */
export class CommandEye implements Eye {
  readonly leastPauseMs: number;
  private readonly options: EyeOptions<CommandTarget>;
  private readonly closing = new AbortController();

  constructor(options: EyeOptions<CommandTarget>) {
    this.options = options;
    this.leastPauseMs = options.target.intervalMs;
  }

  async newest(): Promise<number> {
    const { command, timeoutMs } = this.options.target;
    const [program] = command as [string];
    const printed = (await this.run(timeoutMs)).trim();
    // A target that holds no heartbeat yet has nothing to print.
    if (printed === '') return 0;
    if (!/^\d{1,15}$/.test(printed))
      throw new Error(
        `${program} printed ${JSON.stringify(printed.slice(0, SHOWN))}; expected the number of the newest heartbeat, or nothing`,
      );
    return Number(printed);
  }

  standing(): Promise<null> {
    return Promise.resolve(null);
  }

  close(): void {
    this.closing.abort();
  }

  /** Without a shell: what stands in the configuration is a program and its arguments. */
  private run(timeoutMs: number): Promise<string> {
    const { target, runId, schema, beside } = this.options;
    const [program, ...rest] = target.command as [string, ...string[]];
    return new Promise((resolve, reject) => {
      const child = spawn(program, rest, {
        env: { ...process.env, EVENTGEN_RUN_ID: runId, EVENTGEN_HEARTBEAT_TABLE: heartbeatTable(schema, beside) },
        stdio: ['ignore', 'pipe', 'pipe'],
        // A process group of its own, so that the processes it starts end with it.
        detached: true,
      });
      const end = (error: Error) => {
        try {
          if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
        } catch {
          // It has ended meanwhile.
        }
        child.stdout.destroy();
        child.stderr.destroy();
        reject(error);
      };
      const { signal } = this.closing;
      const abort = () => end(new Error(`${program} was stopped because the run has ended`));
      signal.addEventListener('abort', abort, { once: true });
      const timer = setTimeout(() => end(new Error(`${program} took longer than ${timeoutMs / 1000} s`)), timeoutMs);
      const read = { out: '', err: '' };
      const take = (stream: 'out' | 'err') => (chunk: Buffer) => {
        if (read[stream].length < MOST_BYTES) read[stream] += chunk.toString();
      };
      child.stdout.on('data', take('out'));
      child.stderr.on('data', take('err'));
      child.on('error', (error) => {
        clearTimeout(timer);
        reject(new Error(`${program} cannot be run: ${error.message}`));
      });
      child.on('close', (code, by) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        if (code === 0) resolve(read.out);
        else
          reject(
            new Error(
              `${program} ended with ${by ?? `exit code ${code}`}${read.err === '' ? '' : `: ${read.err.trim().slice(0, SHOWN)}`}`,
            ),
          );
      });
    });
  }
}
