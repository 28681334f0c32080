import type { ReplicationReading } from '../lag/probe.js';
import { type CounterTotals, OUTCOMES } from '../traffic/counters.js';

/** What only grows. */
export const COUNTS = [
  'operations',
  'inserted',
  'updated',
  'deleted',
  'errors',
  'retries',
  'reconnects',
  'dropped',
  'late',
  /** Arrivals of the schedule; 0 without one. */
  'arrivals',
  'cpuSeconds',
] as const;
export type Count = (typeof COUNTS)[number];

/** What goes up and down; of several moments the highest counts. */
export const GAUGES = ['rssBytes', 'eventLoopSeconds', 'tableBytes'] as const;
export type Gauge = (typeof GAUGES)[number];

/** A replication target at one moment. */
interface TargetMoment {
  readonly target: string;
  readonly lag: Float64Array;
  readonly oldestUnseenSeconds: number;
  /** By the position that is furthest behind; null where none is known. */
  readonly bytesBehind: number | null;
}

/** Everything that curves are made of, as it stands at one moment. */
export interface Moment {
  /** Since the start of the run. */
  readonly seconds: number;
  readonly counts: Readonly<Record<Count, number>>;
  readonly gauges: Readonly<Record<Gauge, number>>;
  /** Of all operations, those of the warm-up among them; by bucket. */
  readonly response: Float64Array;
  readonly service: Float64Array;
  readonly targets: readonly TargetMoment[];
  /** Bytes of log that the server retains for replication slots. */
  readonly slots: Readonly<Record<string, number>>;
}

/** What a moment is read from. */
export interface MomentSource {
  readonly totals: CounterTotals;
  readonly workers: number;
  /** Seconds since the start of the run. */
  readonly seconds: () => number;
  readonly arrivals: () => number;
  readonly replication: () => ReplicationReading | null;
  /** Size of the tables that are written, in bytes; 0 while it is not known. */
  readonly tableBytes: () => number;
}

export function readMoment({ totals, workers, seconds, arrivals, replication, tableBytes }: MomentSource): Moment {
  const [inserts, updates, deletes] = [totals.totals('insert'), totals.totals('update'), totals.totals('delete')];
  const all = [inserts, updates, deletes];
  const sum = (...fields: (keyof typeof inserts)[]) =>
    all.reduce((total, each) => total + fields.reduce((part, field) => part + each[field], 0), 0);
  const { user, system } = process.cpuUsage();
  const delays = Array.from({ length: workers }, (_, worker) => totals.scalarOf(worker, 'eventLoopDelayMs'));
  const replicated = replication();
  // A row that moves to another partition is deleted there and inserted here.
  const { moved } = updates;
  return {
    seconds: seconds(),
    counts: {
      operations: sum(...OUTCOMES),
      inserted: inserts.rows + moved,
      updated: updates.rows + updates.cascaded - moved,
      deleted: deletes.rows + deletes.cascaded + moved,
      errors: sum('rejected', 'failed'),
      retries: sum('retriesValues', 'retriesTransient', 'retriesVacant'),
      reconnects: totals.scalar('reconnects'),
      dropped: totals.scalar('dropped'),
      late: totals.scalar('late'),
      arrivals: arrivals(),
      cpuSeconds: (user + system) / 1e6,
    },
    gauges: {
      rssBytes: process.memoryUsage.rss(),
      eventLoopSeconds: Math.max(0, ...delays) / 1000,
      tableBytes: tableBytes(),
    },
    response: totals.merged(['response', 'warmUpResponse']).counts,
    service: totals.merged(['service', 'warmUpService']).counts,
    slots: Object.fromEntries((replicated?.slots ?? []).map(({ slot, retainedBytes }) => [slot, retainedBytes])),
    targets: (replicated?.targets ?? []).map(({ target, lag, oldestUnseenMs, behind }) => ({
      target,
      lag: lag.counts,
      oldestUnseenSeconds: oldestUnseenMs / 1000,
      bytesBehind: behind.length === 0 ? null : Math.max(...behind.map(({ bytes }) => bytes)),
    })),
  };
}
