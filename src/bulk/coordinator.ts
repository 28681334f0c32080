import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { ConnectionSettings } from '../config/connection.js';
import type { ClaimSet } from '../lane/rows/claims.js';
import type { Plan } from '../plan/plan.js';
import type { LoadPlan } from '../plan/stages.js';
import { Control } from '../traffic/control.js';
import { allocateCounters, CounterTotals } from '../traffic/counters.js';
import type { Refusal } from '../traffic/ledger.js';
import type { Workers } from '../traffic/workers.js';
import type { LoadEnd } from './ends.js';
import type { Entry } from './journal.js';
import type { LoaderSettings } from './load-session.js';
import type { StoredNotesSettings } from './notes.js';

/** All that a load is made from, decided before its first write. */
export interface LoadJob {
  readonly plan: Plan;
  readonly claims: ClaimSet;
  readonly load: LoadPlan;
}

/** Where the lanes note their transactions. `file` null: nowhere, and the load cannot be continued. */
type LoadKeeping =
  | { readonly kind: 'file'; readonly file: string | null }
  | { readonly kind: 'stored'; readonly notes: StoredNotesSettings };

export interface LoadOptions extends LoadJob {
  readonly connection: ConnectionSettings;
  readonly settings: Omit<LoaderSettings, 'connection' | 'applicationName' | 'crashMark'>;
  /** What the server told before the first row; null: a crash ends the load. */
  readonly crashMark: string | null;
  /**
   * Returns what is there after a crash, and what the server tells now; null if it has not crashed since it told `crashMark`. An
   * end if it does not answer.
   */
  readonly afterCrash: (crashMark: string) => Promise<AfterCrash | LoadEnd | null>;
  readonly runId: string;
  readonly workers: Workers;
  /** Lanes that this process carries. */
  readonly lanes: readonly number[];
  readonly keeping: LoadKeeping;
  /** What a former load has committed. */
  readonly past: readonly Entry[];
  readonly notice: (refusal: Refusal) => void;
}

export interface AfterCrash {
  /** What the lanes have committed, and the server has kept. */
  readonly past: readonly Entry[];
  readonly crashMark: string;
}

/** What a worker thread is started with. */
export interface LoadTask extends LoadJob {
  readonly worker: number;
  readonly lanes: readonly number[];
  readonly connection: ConnectionSettings;
  readonly settings: Omit<LoaderSettings, 'connection' | 'applicationName'>;
  readonly runId: string;
  readonly counters: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  readonly keeping: LoadKeeping;
  readonly past: readonly Entry[];
  readonly notices: MessagePort;
}

/** A load under way. */
export interface Loading {
  readonly totals: CounterTotals;
  /** Lets no batch begin until `release` is called; batches under way are committed. */
  hold(): void;
  release(): void;
  /** Batches under way are committed, then the lanes end. */
  stop(): void;
  readonly ended: Promise<LoadEnd>;
}

/* A server that crashes more often than this is not loaded. */
const MOST_CRASHES = 100;

/** Starts one long task per worker thread; lanes are dealt out in turn, and what each loads depends on neither. */
export function startLoading(options: LoadOptions): Loading {
  const { plan } = options;
  const { count: workers } = options.workers;
  const lanes = plan.quotas.length;
  const memory = allocateCounters(plan.relations.length, lanes, workers);
  const control = new Control(0, 0);
  let isStopped = false;
  const round = async (past: readonly Entry[], crashMark: string | null): Promise<LoadEnd> => {
    const of = { ...options, past, settings: { ...options.settings, crashMark } };
    const all = await Promise.all(
      Array.from({ length: workers }, (_, worker) => runWorker(of, worker, { memory, control })),
    );
    const ends = all.flat();
    for (const kind of ['refused', 'outage', 'crashed', 'stopped'] as const) {
      const found = ends.find((end) => end.kind === kind);
      if (found !== undefined) return found;
    }
    return { kind: 'finished' };
  };
  const rounds = async (): Promise<LoadEnd> => {
    let { past, crashMark } = options;
    for (let crashes = 0; ; crashes++) {
      const end = await round(past, crashMark);
      if (end.kind !== 'crashed' && end.kind !== 'finished') return end;
      // A lane that had finished before the crash has not seen it.
      const found = crashMark === null ? null : await options.afterCrash(crashMark);
      if (found === null || 'kind' in found) return found ?? (end.kind === 'crashed' ? { kind: 'stopped' } : end);
      if (isStopped) return { kind: 'stopped' };
      if (crashes === MOST_CRASHES) return { kind: 'refused', message: `the server has crashed ${MOST_CRASHES} times` };
      ({ past, crashMark } = found);
      // Every lane counts again what is there of it.
      new Uint8Array(memory).fill(0);
      control.goOn();
    }
  };
  const run = async (): Promise<LoadEnd> => {
    try {
      return await rounds();
    } finally {
      await options.workers.end();
    }
  };
  return {
    totals: new CounterTotals(memory, plan.relations.length, lanes),
    hold: () => control.hold(),
    release: () => control.release(),
    stop: () => {
      isStopped = true;
      control.stop();
    },
    ended: run(),
  };
}

/** Runs the lanes of one worker until all of them have ended. */
async function runWorker(
  options: LoadOptions & { readonly settings: LoadTask['settings'] },
  worker: number,
  { memory, control }: { readonly memory: SharedArrayBuffer; readonly control: Control },
): Promise<LoadEnd[]> {
  const { plan, claims, load, connection, settings, runId, keeping, past, workers } = options;
  const { port1, port2 } = new MessageChannel();
  port1.on('message', (message: Refusal) => options.notice(message));
  port1.unref();
  const task: LoadTask = {
    plan,
    claims,
    load,
    worker,
    lanes: options.lanes.filter((_, at) => at % workers.count === worker),
    connection: { ...connection, searchPath: plan.searchPath ?? undefined },
    settings,
    runId,
    counters: memory,
    control: control.memory,
    keeping,
    past,
    notices: port2,
  };
  try {
    const ends = (await workers.run(task, port2)) as LoadEnd[];
    // What one lane cannot do none can: the others commit what they have under way.
    if (ends.some(({ kind }) => kind === 'outage' || kind === 'refused' || kind === 'crashed')) control.stop();
    return ends;
  } catch (error) {
    control.stop();
    return [{ kind: 'refused', message: `worker ${worker} ended: ${(error as Error).message}` }];
  } finally {
    port1.close();
  }
}
