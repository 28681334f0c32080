import { CONFIRMATIONS } from '../benchmark/max.js';
import type { LagResult } from '../benchmark/result.js';
import { publicJson } from '../config/secrets.js';
import { VERSION } from '../package.js';
import { Unreachable } from '../prepare/connect.js';
import type { VerificationRound } from '../report/summary.js';
import type { ThresholdResult } from '../report/thresholds.js';
import { Missing } from '../shards/start.js';
import type { Traffic, TrafficEnd } from '../traffic/coordinator.js';

/** Exit codes, as users and scripts know them. */
export const EXIT = { finished: 0, setup: 1, endedEarly: 2, outage: 3, threshold: 4, undecided: 5 } as const;

/** The summary of what ended before its first write. */
export function refusedSummary(exit: { readonly code: number; readonly reason: string }, more: object = {}): string {
  const summary = { schema_version: 1, version: VERSION, tables: {}, errors: {}, ...more, exit };
  return `${publicJson(summary, 2)}\n`;
}

/** The exit code of what ended a run before its first write. */
export function codeBefore(error: unknown): number {
  return error instanceof Unreachable || error instanceof Missing ? EXIT.outage : EXIT.setup;
}

/** How a run came out, in a code and in words. */
export function exitOf(
  end: TrafficEnd,
  traffic: Traffic,
  {
    maxErrorRatio,
    thresholds,
    signal,
    verification,
    timeUp,
    isGone,
    fuse,
    lag,
    isShard,
  }: {
    maxErrorRatio: number;
    thresholds: readonly ThresholdResult[];
    signal: string | null;
    verification: readonly VerificationRound[];
    timeUp: string | null;
    /** True where none of the tables is left. */
    isGone: boolean;
    /** Why the fuse has ended the run; null where it has not. */
    fuse: string | null;
    /** What a benchmark has found out; undefined where there was none. */
    lag: LagResult | undefined;
    /** True where other processes carry the rest of the lanes. */
    isShard: boolean;
  },
): { code: number; reason: string } {
  if (isGone)
    return { code: EXIT.endedEarly, reason: 'none of the tables is left: they were dropped while the run was on' };
  switch (end.kind) {
    case 'outage':
      return { code: EXIT.outage, reason: `the database stayed unreachable beyond max_outage_seconds: ${end.message}` };
    case 'crashed':
    case 'refused':
      return { code: EXIT.endedEarly, reason: end.message };
    case 'starved':
      if (traffic.totals.scalar('quarantined') > 0)
        return {
          code: EXIT.endedEarly,
          reason: `${end.lanes} lanes have nothing left to do: operations that were refused have been left out`,
        };
      return {
        code: EXIT.endedEarly,
        reason: `${end.lanes} lanes found no row and no room for any operation; add INSERT, or rows`,
      };
    case 'finished': {
      const operations = traffic.totals.operations();
      const errors = traffic.totals.total('rejected') + traffic.totals.total('failed');
      if (operations > 0 && errors / operations > maxErrorRatio) {
        return {
          code: EXIT.endedEarly,
          reason: `${errors} of ${operations} operations failed, beyond error_budget.max_error_ratio ${maxErrorRatio}`,
        };
      }
      const missed = thresholds.filter(({ passed }) => !passed);
      // Of a shard they only inform: merge judges the whole run.
      if (missed.length > 0 && !isShard)
        return {
          code: EXIT.threshold,
          reason: `not met: ${missed.map(({ condition, value, unjudged }) => `${condition} (${unjudged ?? Number(value!.toPrecision(3))})`).join(', ')}`,
        };
      const unproved = exitOfVerification(verification);
      if (unproved !== null) return unproved;
      if (fuse !== null) return { code: EXIT.endedEarly, reason: fuse };
      const undecided = signal !== null || lag === undefined ? null : undecidedBecause(lag);
      if (undecided !== null) return { code: EXIT.undecided, reason: undecided };
      if (signal !== null && isShard)
        return { code: EXIT.endedEarly, reason: `stopped by ${signal} before the end of the shard` };
      if (signal !== null) return { code: EXIT.finished, reason: `stopped by ${signal}` };
      return {
        code: EXIT.finished,
        reason: lag !== undefined ? `lag ${lag.kind} is through` : (timeUp ?? 'all operations done'),
      };
    }
  }
}

/** Why a benchmark has no result; null where it has one. */
function undecidedBecause(lag: LagResult): string | null {
  if (lag.interrupted !== null) return `the benchmark could not decide: ${lag.interrupted}`;
  switch (lag.kind) {
    case 'curve':
      return lag.steps.every((step) => step.void !== null)
        ? `every step of the curve is void: ${lag.steps[0]?.void ?? 'there is none'}`
        : null;
    case 'max':
      if (lag.sustained === null) return `no rate was sustained: ${lag.because ?? 'none could be tried'}`;
      return lag.confirmations < CONFIRMATIONS
        ? `${lag.sustained} operations/s were sustained ${lag.confirmations} times, and ${CONFIRMATIONS} are needed`
        : null;
    case 'drain': {
      const late = Object.entries(lag.targets).flatMap(([name, { seconds }]) => (seconds === null ? name : []));
      return late.length > 0 ? `${late.join(', ')} had not caught up in time` : null;
    }
    case 'tour':
      return null;
    case 'overhead':
      return Object.values(lag.consumers).every(({ not_measured: refusal }) => refusal !== null)
        ? `no consumer could be measured: ${Object.values(lag.consumers)
            .map(({ not_measured: refusal }) => refusal)
            .join('; ')}`
        : null;
  }
}

/** The exit of a run with a target that differs, or that could not be compared at the last look; null where all are equal. */
function exitOfVerification(rounds: readonly VerificationRound[]): { code: number; reason: string } | null {
  const reasonOf = ({ target, headline }: VerificationRound) => `verification of ${target}: ${headline}`;
  const different = rounds.find(({ verdict }) => verdict === 'different');
  if (different !== undefined) return { code: EXIT.threshold, reason: reasonOf(different) };
  // The last look at each target counts: an earlier one may have come while it was catching up.
  const open = rounds.findLast(({ verdict }) => verdict === 'undecided');
  const isLast = open !== undefined && rounds.findLast(({ target }) => target === open.target) === open;
  return isLast ? { code: EXIT.undecided, reason: reasonOf(open) } : null;
}
