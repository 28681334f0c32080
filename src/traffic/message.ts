import type { MessagePort } from 'node:worker_threads';
import type { Claims } from '../lane/rows/claims.js';
import type { Plan } from '../plan/plan.js';
import type { LaneEnd, LaneSettings } from './lane-loop.js';
import type { Pacing } from './pacer.js';

/** What a worker thread is started with. Everything survives structured clone; shared memory stays shared. */
export interface WorkerTask {
  readonly worker: number;
  readonly lanes: readonly number[];
  readonly plan: Plan;
  readonly claims: readonly Claims[];
  readonly settings: Omit<LaneSettings, 'applicationName'>;
  readonly runId: string;
  readonly counters: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  /** The shared record of tables that cannot be written to at the moment. */
  readonly blocked: SharedArrayBuffer;
  readonly waitAfterOperations: number;
  readonly waitMs: number;
  readonly pacing: Pacing | null;
  /** The folder of the lanes' files; null if it could not be created. */
  readonly logFolder: string | null;
  /** The history file for exceptions; null if no history is written. */
  readonly historyFile: string | null;
  /** Who has carried the lanes before; null where nobody has. A process leaves less behind than a thread: how far it got is not known exactly. */
  readonly before: 'thread' | 'process' | null;
  /** True if a thread of this process carried the lanes before, and died. */
  readonly hasDied: boolean;
  /** True if the lanes are taken back to what the server has kept of them. */
  readonly takesBack: boolean;
  /** True if the thread tells once a second what its lanes have done, so that they can be taken back to it. */
  readonly remembers: boolean;
  /** Stores `$3`, exceptions of lane `$2` of run `$1`, so that another process can go on; null where none could. */
  readonly storeExceptions: string | null;
  readonly notices: MessagePort;
}

/** What it answers: one end per lane, as values, since a thrown error would lose its SQLSTATE. */
export interface WorkerResult {
  readonly ends: readonly { readonly lane: number; readonly end: LaneEnd }[];
}

/** Returns the `application_name` of a lane's session. */
export function applicationName(runId: string, lane: number): string {
  return `eventgen/${runId}/${lane}`;
}
