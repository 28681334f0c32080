import type { CounterTotals } from './counters.js';

/** How the time of a run was spent, as shares from 0 to 1. */
export interface Utilisation {
  /** Share of time in which the event loop of the busiest worker thread was not idle. */
  readonly worker: number;
  /** Share of time that worker threads spent on a core. */
  readonly worker_cpu: number;
  /** Share of time in which connections had something in flight. */
  readonly connections: number;
  /** Share of time in which the configuration made connections wait. */
  readonly waiting: number;
}

/** How time was spent since the start of a run. */
export interface Usage {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly workers: readonly { readonly busyMs: number; readonly threadMs: number }[];
  readonly laneMs: number;
  readonly inFlightMs: number;
  readonly pausedMs: number;
  /** Operations of a schedule that were dropped or late. */
  readonly missed: number;
}

export function readUsage(totals: CounterTotals, workers: number, time: Pick<Usage, 'seconds' | 'cpuSeconds'>): Usage {
  return {
    ...time,
    workers: Array.from({ length: workers }, (_, worker) => ({
      busyMs: totals.scalarOf(worker, 'busyMs'),
      threadMs: totals.scalarOf(worker, 'threadMs'),
    })),
    laneMs: totals.scalar('laneMs'),
    inFlightMs: totals.scalar('inFlightMs'),
    pausedMs: totals.scalar('pausedMs'),
    missed: totals.scalar('dropped') + totals.scalar('late'),
  };
}

/** Returns the shares of time between two readings; `before` null: since the start. */
export function utilisationBetween(before: Usage | null, after: Usage): Utilisation {
  const passed = (key: 'seconds' | 'cpuSeconds' | 'laneMs' | 'inFlightMs' | 'pausedMs') =>
    after[key] - (before?.[key] ?? 0);
  const share = (part: number, whole: number) => (whole > 0 ? Math.round(Math.min(1, part / whole) * 1000) / 1000 : 0);
  const ofWorkers = after.workers.map(({ busyMs, threadMs }, worker) => {
    const then = before?.workers[worker];
    return share(busyMs - (then?.busyMs ?? 0), threadMs - (then?.threadMs ?? 0));
  });
  return {
    worker: Math.max(0, ...ofWorkers),
    worker_cpu: share(passed('cpuSeconds'), passed('seconds') * after.workers.length),
    connections: share(passed('inFlightMs'), passed('laneMs')),
    waiting: share(passed('pausedMs'), passed('laneMs')),
  };
}

/** The run that the figures belong to. */
export interface Run {
  readonly workers: number;
  readonly connections: number;
  readonly elapsedSeconds: number;
  /** Scheduled operations that were dropped or late, so that the target rate was not kept. */
  readonly missed: number;
}

export const LIMITS = ['server-bound', 'generator-bound', 'rate-bound'] as const;
export type Limit = (typeof LIMITS)[number];

export interface Verdict {
  /** Null where that cannot be told. */
  readonly limit: Limit | null;
  /** What the limit means and what would raise it, or why it cannot be told. */
  readonly advice: string;
}

/*
 * An event loop this busy has no time left. It runs on while its thread waits for a core, so a core must have been there
 * as well, or the server has taken them.
 */
const SATURATED = 0.9;
const ON_A_CORE = 0.55;
/* If connections wait this share of the time because of the configuration, the configuration is the limit. */
const HELD_BACK = 0.5;

/* Threads compile and fill their pools at first, so the limit of a shorter run says little about a long one. */
const SHORTEST_SECONDS = 3;

/** Returns what limited a run: the generator, if a thread is saturated, whatever the server does. */
export function verdictOf(utilisation: Utilisation, run: Run): Verdict {
  const verdict = limitOf(utilisation, run);
  if (run.elapsedSeconds >= SHORTEST_SECONDS || verdict.limit === 'rate-bound') return verdict;
  return { limit: null, advice: 'the run was too short to tell what limited it: most of it was startup' };
}

function limitOf(utilisation: Utilisation, { workers, connections, missed }: Run): Verdict {
  const { worker, worker_cpu: cpu, connections: busy, waiting } = utilisation;
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  if (waiting >= HELD_BACK && missed === 0)
    return {
      limit: 'rate-bound',
      advice: `the schedule is the limit: connections were idle ${percent(waiting)} of the time`,
    };
  // If connections are idle, one thread is always busier; that is not what limits the run.
  if ((worker >= SATURATED && cpu >= ON_A_CORE) || (worker > busy && waiting < HELD_BACK)) {
    const change =
      workers < connections
        ? `raise generator.workers (now ${workers})`
        : 'simplify generator.column_overrides, or spread the run over more machines';
    return {
      limit: 'generator-bound',
      advice: `a worker thread was busy ${percent(worker)} of the time; ${change}`,
    };
  }
  if (waiting >= HELD_BACK)
    return {
      limit: 'server-bound',
      advice: `the server was too slow at times: ${missed === 1 ? '1 operation of the schedule was' : `${missed.toLocaleString('en-US')} operations of the schedule were`} dropped or late, although connections were idle ${percent(waiting)} of the time`,
    };
  return {
    limit: 'server-bound',
    advice: `connections waited for the server ${percent(busy)} of the time, while the generator's threads were busy ${percent(worker)}`,
  };
}
