import { CONFIRMATIONS } from '../benchmark/max.js';
import type { LagResult } from '../benchmark/result.js';
import { publicJson } from '../config/secrets.js';
import { VERSION } from '../package.js';
import { Unreachable } from '../prepare/connect.js';
import type { VerificationRound } from '../report/summary.js';
import { missedText, type ThresholdResult } from '../report/thresholds.js';
import { Missing } from '../shards/start.js';
import type { Traffic, TrafficEnd } from '../traffic/coordinator.js';

/** Exit codes, as users and scripts know them. */
export const EXIT = { finished: 0, setup: 1, endedEarly: 2, outage: 3, threshold: 4, undecided: 5 } as const;

/** Returns the summary of a run that ended before its first write. */
export function refusedSummary(exit: { readonly code: number; readonly reason: string }, more: object = {}): string {
  const summary = { schema_version: 1, version: VERSION, tables: {}, errors: {}, ...more, exit };
  return `${publicJson(summary, 2)}\n`;
}

/** Returns the exit code for an error before the first write. */
export function codeBefore(error: unknown): number {
  return error instanceof Unreachable || error instanceof Missing ? EXIT.outage : EXIT.setup;
}

/** An exit code and its reason in words. */
interface Exit {
  readonly code: number;
  readonly reason: string;
}

/** What determines the exit, in addition to the end of the traffic. */
interface Circumstances {
  readonly maxErrorRatio: number;
  readonly thresholds: readonly ThresholdResult[];
  readonly signal: string | null;
  readonly verification: readonly VerificationRound[];
  readonly timeUp: string | null;
  /** True if none of the tables exists any more. */
  readonly isGone: boolean;
  /** Why a fuse, a lost lock or a threshold of a shard ended the traffic; null if none of them did. */
  readonly endedBy: string | null;
  /** The result of a benchmark; undefined if there was none. */
  readonly lag: LagResult | undefined;
  /** True if other processes run the rest of the lanes. */
  readonly isShard: boolean;
}

/** Returns the exit of a run. */
export function exitOf(end: TrafficEnd, traffic: Traffic, circumstances: Circumstances): Exit {
  if (circumstances.isGone) return { code: EXIT.endedEarly, reason: 'all of the tables were dropped during the run' };
  switch (end.kind) {
    case 'outage':
      return {
        code: EXIT.outage,
        reason: `the database was unreachable for longer than max_outage_seconds: ${end.message}`,
      };
    case 'crashed':
    case 'refused':
      return { code: EXIT.endedEarly, reason: end.message };
    case 'starved':
      if (traffic.totals.scalar('quarantined') > 0)
        return {
          code: EXIT.endedEarly,
          reason: `${end.lanes} lanes have nothing left to do, because all of their operations are quarantined after repeated rejections`,
        };
      return {
        code: EXIT.endedEarly,
        reason: `${end.lanes} lanes found no row to change and no room for a new one; add INSERT to the operations, or rows to the tables`,
      };
    case 'finished':
      return exitOfFinished(traffic, circumstances);
  }
}

/** Returns the most severe of the remaining reasons, if all lanes finished. */
function exitOfFinished({ totals }: Traffic, circumstances: Circumstances): Exit {
  const { maxErrorRatio, thresholds, verification, endedBy, lag, signal, timeUp, isShard } = circumstances;
  const operations = totals.operations();
  const errors = totals.total('rejected') + totals.total('failed');
  if (operations > 0 && errors / operations > maxErrorRatio) {
    const reason = `${errors} of ${operations} operations failed, which exceeds error_budget.max_error_ratio ${maxErrorRatio}`;
    return { code: EXIT.endedEarly, reason };
  }
  // The thresholds of a shard are for information only; merge judges the whole run.
  const missed = isShard ? null : missedText(thresholds);
  if (missed !== null) return { code: EXIT.threshold, reason: missed };
  const unproved = exitOfVerification(verification);
  if (unproved !== null) return unproved;
  if (endedBy !== null) return { code: EXIT.endedEarly, reason: endedBy };
  if (signal !== null && isShard)
    return { code: EXIT.endedEarly, reason: `stopped by ${signal} before the shard was complete` };
  if (signal !== null) return { code: EXIT.finished, reason: `stopped by ${signal}` };
  const undecided = lag === undefined ? null : undecidedBecause(lag);
  if (undecided !== null) return { code: EXIT.undecided, reason: undecided };
  const done = lag === undefined ? (timeUp ?? 'all operations done') : `lag ${lag.kind} is complete`;
  return { code: EXIT.finished, reason: done };
}

/** Returns why a benchmark has no result; null if it has one. */
function undecidedBecause(lag: LagResult): string | null {
  if (lag.interrupted !== null) return `the benchmark could not decide: ${lag.interrupted}`;
  switch (lag.kind) {
    case 'curve':
      return lag.steps.every((step) => step.void !== null)
        ? `no step of the curve is valid: ${lag.steps[0]?.void ?? 'none was measured'}`
        : null;
    case 'max':
      if (lag.sustained === null) return `no rate was sustained: ${lag.because ?? 'no rate could be tried'}`;
      return lag.confirmations < CONFIRMATIONS
        ? `${lag.sustained} operations/s were sustained only ${lag.confirmations} of the ${CONFIRMATIONS} times needed`
        : null;
    case 'drain': {
      const late = Object.entries(lag.targets).flatMap(([name, { seconds }]) => (seconds === null ? name : []));
      return late.length > 0 ? `${late.join(', ')} did not catch up in time` : null;
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

/** Returns the exit if a target differs, or could not be compared in the last round; null if all are equal. */
function exitOfVerification(rounds: readonly VerificationRound[]): Exit | null {
  const reasonOf = ({ target, headline }: VerificationRound) => `verification of ${target}: ${headline}`;
  const different = rounds.find(({ verdict }) => verdict === 'different');
  if (different !== undefined) return { code: EXIT.threshold, reason: reasonOf(different) };
  // The last comparison of each target counts, because it may have been catching up before.
  const open = rounds.findLast(({ verdict }) => verdict === 'undecided');
  const isLast = open !== undefined && rounds.findLast(({ target }) => target === open.target) === open;
  return isLast ? { code: EXIT.undecided, reason: reasonOf(open) } : null;
}
