import type { ReplicationTarget } from '../../config/replication.js';
import type { Source } from '../source.js';
import type { Place } from '../table.js';
import type { Lsn } from '../wal.js';

/** What an eye is opened with. */
export interface EyeOptions<Target extends ReplicationTarget = ReplicationTarget>
  extends Pick<Place, 'runId' | 'schema'> {
  /** The table whose heartbeats it looks for; null: those that stand for all tables. */
  readonly beside: string | null;
  readonly target: Target;
  readonly source: Source;
  readonly connectTimeoutMs: number;
}

/** How far a target got with the source's log, and what it does just now. */
export interface Standing {
  /** By what was done with it: positions that are known, in the order in which a byte passes them. */
  readonly positions: readonly { readonly position: string; readonly lsn: Lsn }[];
  /** Why it does not go on, in words; null where it does, or where nobody knows. */
  readonly reason: string | null;
  /** False where what applies the changes waits for more of them; null where that is not known. */
  readonly isApplying: boolean | null;
  /** The process that applies the changes on the target's server; null where there is none, or it is not known. */
  readonly processId: number | null;
  /** The process that sends to it, on the source; null where that is not known. */
  readonly senderId: number | null;
}

/** Looks at one target. Every question is bounded in time; one that fails ends the eye, and another one is opened. */
export interface Eye {
  /** Between two looks, in milliseconds. */
  readonly leastPauseMs: number;
  /** The newest heartbeat that the target shows; 0 where it shows none. */
  newest(): Promise<number>;
  /** Null where nothing but heartbeats can be asked for. */
  standing(): Promise<Standing | null>;
  /** Looks no more; a look that is under way fails. */
  close(): void;
}

export const QUERY_TIMEOUT_MS = 5000;

/** An answer, or an error where none comes in time: a server that is stopped or cut off keeps its connections open. */
export async function answered<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the target did not answer within ${QUERY_TIMEOUT_MS / 1000} s`)),
      QUERY_TIMEOUT_MS,
    );
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    answer.catch(() => undefined);
  }
}
