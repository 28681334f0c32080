import type { ReplicationReading } from '../lag/probe.js';

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
