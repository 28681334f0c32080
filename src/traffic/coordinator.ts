import { availableParallelism } from 'node:os';
import type { ConnectionSettings } from '../config/connection.js';
import type { Claims } from '../lane/rows/claims.js';
import type { Plan } from '../plan/plan.js';
import { BlockedTables } from './blocked-tables.js';
import { Control } from './control.js';
import { allocateCounters, type CounterTotals } from './counters.js';
import { Crew, type CrewEnd } from './crew.js';
import type { Incarnation } from './incarnation.js';
import type { LaneCheckpoint, LaneProgress, Past } from './lane-progress.js';
import type { Notice } from './ledger.js';
import type { Pacing } from './pacer.js';
import type { Workers } from './workers.js';

export interface TrafficOptions {
  readonly plan: Plan;
  /** The lanes that this process runs: all of them, or those of its shard. */
  readonly lanes: readonly number[];
  /** When the first operation may begin, in terms of `performance.now()`; null: at once. */
  readonly startAtMs: number | null;
  readonly claims: readonly Claims[];
  readonly connection: ConnectionSettings;
  readonly workers: Workers;
  readonly runId: string;
  readonly timeouts: { readonly connect: number; readonly statement: number; readonly lock: number };
  readonly maxOutageMs: number;
  readonly maxPreparedStatements: number;
  /** The server as it was when the run began. */
  readonly incarnation: Incarnation;
  readonly waitAfterOperations: number;
  readonly waitMs: number;
  readonly pacing: Pacing | null;
  readonly warmUpMs: number;
  readonly lateAfterMs: number;
  readonly notice: Notice;
  /** The history file for the lanes' exceptions; null if no history is written. */
  readonly historyFile: string | null;
  /** What another process has left behind that carried the lanes before; null where nobody has. */
  readonly past: Past | null;
  /** Where everything goes that another process would need to go on; null where none could. */
  readonly keeping: Keeping | null;
}

/** Keeps the progress of the lanes where another process finds it. */
export interface Keeping {
  /** A statement that stores `$3`, exceptions of lane `$2` of run `$1`. */
  readonly storeExceptions: string;
  readonly take: (progress: LaneProgress) => void;
  readonly takeCheckpoint: (checkpoint: LaneCheckpoint) => void;
}

/** How the traffic ended: the most severe end of all lanes. */
export type TrafficEnd =
  | { readonly kind: 'finished' }
  | { readonly kind: 'starved'; readonly lanes: number }
  | { readonly kind: 'outage' | 'refused' | 'crashed'; readonly message: string };

/** Running traffic. */
export interface Traffic {
  readonly totals: CounterTotals;
  readonly workers: number;
  /** The lanes that this process runs. */
  readonly lanes: readonly number[];
  /** Lets no further operation begin; operations in flight finish. */
  stop(): void;
  /** Lets no operation begin until `release` is called once for each `hold`; operations in flight finish. */
  hold(): void;
  release(): void;
  /** Ends the time for operations in flight: nothing is sent again. */
  cut(): void;
  /** True if operations in flight were given up. */
  readonly wasCut: boolean;
  /** Returns rows that the server had acknowledged and lost, by relation. They were written again since. */
  acknowledgedLost(): ReadonlyMap<number, number>;
  /** Ends the threads, whatever they are doing. */
  endThreads(): Promise<void>;
  readonly ended: Promise<TrafficEnd>;
  /** The shared record of blocked tables. */
  readonly blocked: BlockedTables;
  /** Returns the milliseconds since all lanes were connected; negative before. */
  elapsedMs(): number;
  /** The worker threads, for tests that end one. */
  readonly threads: readonly { terminate(): Promise<number> }[];
}

/**
 * Returns how many threads run so many lanes. `sharesCores`: the server runs on this machine too, so one core is left
 * to it: on two cores one thread carried 7 to 15 % more operations than two.
 */
export function workerCount(setting: number | 'auto', lanes: number, sharesCores: boolean): number {
  const cores = availableParallelism();
  return Math.min(lanes, setting === 'auto' ? Math.max(1, sharesCores ? cores - 1 : cores) : setting);
}

/** Starts one long task per worker thread and deals out the lanes in turn. Only the plan sets their number. */
export function startTraffic(options: TrafficOptions): Traffic {
  const { plan } = options;
  const { count: workers } = options.workers;
  const lanes = plan.quotas.length;
  const control = new Control(options.waitAfterOperations, options.waitMs);
  control.reset();
  if (options.startAtMs !== null) startAt(control, options.startAtMs);
  const blocked = new BlockedTables(plan.relations.length);
  const counters = allocateCounters(
    plan.relations.length,
    lanes,
    workers + ((options.past?.counters.length ?? 0) > 0 ? 1 : 0),
  );
  const crew = new Crew(options, { control, blocked, counters });
  return {
    totals: crew.totals,
    workers,
    lanes: options.lanes,
    stop: () => crew.stop(),
    hold: () => control.hold(),
    release: () => control.release(),
    cut: () => control.cut(),
    get wasCut() {
      return control.isCut;
    },
    acknowledgedLost: () => crew.acknowledgedLost,
    endThreads: () => crew.end(),
    ended: crew.carry().then(gravest),
    blocked,
    elapsedMs: () => control.elapsedMs(),
    get threads() {
      return options.workers.threads;
    },
  };
}

/** Lets the lanes connect and wait until a moment, at which a schedule begins. */
function startAt(control: Control, ms: number): void {
  control.beginAt(ms);
  control.hold();
  setTimeout(() => control.release(), Math.max(0, ms - performance.now())).unref();
}

function gravest(ends: readonly CrewEnd[]): TrafficEnd {
  for (const kind of ['crashed', 'refused', 'outage'] as const) {
    const found = ends.find((end) => end.kind === kind);
    if (found !== undefined && 'message' in found) return { kind, message: found.message };
  }
  const starved = ends.filter((end) => end.kind === 'starved').length;
  return starved > 0 ? { kind: 'starved', lanes: starved } : { kind: 'finished' };
}
