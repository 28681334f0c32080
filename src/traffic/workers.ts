import type { MessagePort, Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { packageFile } from '../package.js';

/** Threads that have loaded their code. That takes a quarter of a second, so they are started in advance. */
export interface Workers {
  readonly count: number;
  readonly threads: readonly Worker[];
  /**
   * Passes a task and its port to a free thread.
   * @throws Error if the thread ends before it answers, or cannot start.
   */
  run(task: object, port: MessagePort): Promise<unknown>;
  /** Ends the threads. */
  end(): Promise<void>;
}

const YOUNG_GENERATION_MB = 9;

/** Thrown if a thread could not load its code; another thread could not, either. */
export class CannotStart extends Error {
  constructor(message: string) {
    super(`the thread could not start: ${message}`);
  }
}

/** Starts threads. `job`: what they run, which is the name of their entry in `workers/`. */
export function startWorkers(count: number, job: 'traffic' | 'load'): Workers {
  const pool = new Piscina({
    filename: packageFile(`dist/workers/${job}.js`).href,
    minThreads: count,
    maxThreads: count,
    // Without this a waiting thread would block its own timers and sockets.
    atomics: 'disabled',
    // Garbage of operations dies young, so V8's default of 48 MB per thread would not be faster.
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  });
  pool.on('error', () => undefined);
  const seen = new WeakSet<Worker>();
  const starting: Promise<void>[] = [];
  let fail: (error: Error) => void = () => undefined;
  // A thread that dies rejects its task, but tasks would wait for ever for a thread that cannot load its code.
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  /* Threads that replace others as well, as soon as they are there: later, they would be waited for in vain. */
  const watchNew = () => {
    for (const thread of pool.threads) {
      if (seen.has(thread)) continue;
      seen.add(thread);
      const failing = ({ message }: Error) => fail(new CannotStart(message));
      thread.once('error', failing).once('message', () => thread.off('error', failing));
      // Piscina has put another one in its place by then.
      thread.on('error', watchNew).once('exit', watchNew);
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
      // Node.js aborts the process if a thread is ended while it links its modules.
      watchNew();
      // Piscina's threads do not keep the process alive: it would end while this waits.
      for (const thread of pool.threads) thread.ref();
      await Promise.all(starting);
      await pool.destroy();
    },
  };
}
