import type { ReplicationOutcome, ReplicationReading } from '../lag/probe.js';
import { ms } from './figures.js';

/* A lag below this needs no explanation. */
const WORTH_EXPLAINING_SECONDS = 0.5;

/** What a reader of lags should know of the targets just now, a line each. */
export function replicationNotes({ targets }: ReplicationReading): string[] {
  return targets.flatMap(({ target, kind, reason, oldestUnseenMs, waiting }) => {
    const seconds = oldestUnseenMs / 1000;
    const behind = waiting === null || seconds < WORTH_EXPLAINING_SECONDS ? '' : `most of its lag is at the ${waiting}`;
    return [
      ...(kind === 'slot'
        ? [`${target}: its consumer confirms only from time to time, so the real lag is at most the lag shown`]
        : []),
      ...(reason !== null ? [`${target}: ${reason}`] : behind === '' ? [] : [`${target}: ${behind}`]),
    ];
  });
}

/** Returns the last lags in the source's own statistics, a line for each target that they know. */
export function serverLagTexts(targets: ReplicationOutcome['targets']): string[] {
  return Object.entries(targets).flatMap(([name, { server_lag_seconds: lags }]) => {
    const parts = Object.entries(lags ?? {}).flatMap(([at, lag]) => (lag === null ? [] : [`${at} ${ms(lag)}`]));
    return parts.length === 0 ? [] : [`${name} in pg_stat_replication, for comparison: ${parts.join(', ')}`];
  });
}
