import type { MessagePort, Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { packageFile } from '../package.js';

/** Threads that are up and have loaded their code, which takes them a quarter of a second: started before they are needed. */
export interface Workers {
  readonly count: number;
  readonly threads: readonly Worker[];
  /**
   * Hands a task with its port to a thread that is free.
   * @throws Error where the thread ends before it answers, or one cannot start.
   */
  run(task: object, port: MessagePort): Promise<unknown>;
  /** Ends the threads. */
  end(): Promise<void>;
}

const YOUNG_GENERATION_MB = 9;

/** A thread could not load its code: another one could not, either. */
export class CannotStart extends Error {
  constructor(message: string) {
    super(`the thread could not start: ${message}`);
  }
}

/** `job`: what the threads carry; the name of their entry in `workers/`. */
export function startWorkers(count: number, job: 'traffic' | 'load'): Workers {
  const pool = new Piscina({
    filename: packageFile(`dist/workers/${job}.js`).href,
    minThreads: count,
    maxThreads: count,
    // Otherwise a waiting thread blocks its own timers and sockets.
    atomics: 'disabled',
    // What an operation leaves behind dies young; V8's default of 48 MB per thread buys no speed here.
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  });
  pool.on('error', () => undefined);
  const seen = new WeakSet<Worker>();
  const starting: Promise<void>[] = [];
  let fail: (error: Error) => void = () => undefined;
  // A thread that ends with a task rejects that; for one that cannot load its code tasks would wait.
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  // Also those that take the place of others.
  const watchNew = () => {
    for (const thread of pool.threads) {
      if (seen.has(thread)) continue;
      seen.add(thread);
      const failing = ({ message }: Error) => fail(new CannotStart(message));
      thread.once('error', failing).once('message', () => thread.off('error', failing));
      starting.push(
        new Promise<void>((resolve) => {
          thread.once('message', () => resolve());
          thread.once('exit', () => resolve());
        }),
      );
    }
  };
  watchNew();
  return {
    count,
    get threads() {
      return pool.threads;
    },
    run: (task, port) => {
      watchNew();
      return Promise.race([pool.run(task, { transferList: [port] }), failed]);
    },
    end: async () => {
      // Node.js aborts the process where a thread is ended while it links its modules.
      watchNew();
      await Promise.all(starting);
      await pool.destroy();
    },
  };
}
