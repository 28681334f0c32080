import type { ReplicationReading } from '../lag/probe.js';
import { Interrupted, type Load } from './load.js';
import { type CaughtUp, settle } from './settle.js';
import { measure, type Step, warmUpOf } from './step.js';

export interface DrainOptions {
  readonly burstMs: number;
  /** How long the targets may take. */
  readonly mostMs: number;
}

/** How a target worked off what a burst had left. */
interface DrainedTarget {
  /** From the end of the burst; null where it had not caught up in time. */
  readonly seconds: number | null;
  /** The lag at the end of the burst. */
  readonly lag_at_end_seconds: number;
  /** What it still had to take then; null where its positions are not known. */
  readonly bytes_at_end: number | null;
  readonly megabytes_per_second: number | null;
  readonly rows_per_second: number | null;
  /** How many times the burst's average rate it can take; null where the drain was too short to tell. */
  readonly headroom: number | null;
}

/** How long it takes until targets have caught up with a burst. */
export interface DrainResult {
  readonly kind: 'drain';
  readonly interrupted: string | null;
  readonly burst: Step | null;
  readonly targets: Readonly<Record<string, DrainedTarget>>;
}

/* A shorter drain says nothing about how fast it went. */
const SHORTEST_SECONDS = 0.5;

/** As much load as the source takes, then none, until the targets have caught up. */
export async function drain(load: Load, { burstMs, mostMs }: DrainOptions): Promise<DrainResult> {
  let burst: Step | null = null;
  let atEnd: ReplicationReading | null = null;
  const caughtUp = new Map<string, number | null>();
  const result = (interrupted: string | null): DrainResult => ({
    kind: 'drain',
    interrupted,
    burst,
    targets: burst === null || atEnd === null ? {} : targetsOf(burst, atEnd, caughtUp),
  });
  try {
    load.tell('burst', burstMs / 1000);
    // The time before the figures count is part of the burst.
    const warmUpMs = warmUpOf(burstMs);
    burst = await measure(load, null, warmUpMs, burstMs - warmUpMs);
    load.say(`the burst has ended: it reached ${Math.round(burst.operations_per_second)} operations/s`);
    atEnd = load.look().replication;
    load.tell('draining', mostMs / 1000);
    await settle(load, mostMs, caughtUp);
    return result(null);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    return result(error.message);
  }
}

function targetsOf(burst: Step, { targets }: ReplicationReading, caughtUp: CaughtUp): DrainResult['targets'] {
  return Object.fromEntries(
    targets.map(({ target, oldestUnseenMs, behind }): [string, DrainedTarget] => {
      const ms = caughtUp.get(target) ?? null;
      const bytes = behind.length === 0 ? null : Math.max(...behind.map((each) => each.bytes));
      return [target, drained(burst, oldestUnseenMs / 1000, bytes, ms === null ? null : ms / 1000)];
    }),
  );
}

/*
 * The lag at the end is the time over which the rows that are still to come were written, at the burst's rate: rows behind = lag ×
 * rate, also where bytes are not known.
 */
function drained(burst: Step, lag: number, bytes: number | null, seconds: number | null): DrainedTarget {
  const isTold = seconds !== null && seconds >= SHORTEST_SECONDS;
  const figures = (value: number) => Number(value.toPrecision(4));
  return {
    seconds: seconds === null ? null : figures(seconds),
    lag_at_end_seconds: figures(lag),
    bytes_at_end: bytes,
    megabytes_per_second: isTold && bytes !== null ? figures(bytes / 1e6 / seconds) : null,
    rows_per_second: isTold ? figures((lag * burst.rows_per_second) / seconds) : null,
    headroom: isTold ? figures(lag / seconds) : null,
  };
}
