import type { ReplicationTarget } from '../config/replication.js';
import type { Standing } from './eyes/eye.js';
import type { Source } from './source.js';

/** What a byte of the source's log waits for on its way to where it is shown. */
export type Stage = 'walsender' | 'network' | 'disk' | 'replay' | 'apply worker' | 'consumer';

type Kind = ReplicationTarget['kind'];

/* What a byte waits for before it reaches a position. */
const STAGES: Readonly<Record<Kind, readonly (readonly [position: string, stage: Stage])[]>> = {
  physical: [
    ['sent', 'walsender'],
    ['written', 'network'],
    ['received', 'disk'],
    ['replayed', 'replay'],
  ],
  logical: [
    ['sent', 'walsender'],
    ['received', 'network'],
  ],
  slot: [
    ['sent', 'walsender'],
    ['confirmed', 'consumer'],
  ],
  heartbeat: [],
  command: [],
};

/* What is left when the last position is reached, until the heartbeat is seen. */
const LAST: Readonly<Record<Kind, Stage>> = {
  physical: 'replay',
  logical: 'apply worker',
  slot: 'consumer',
  heartbeat: 'consumer',
  command: 'consumer',
};

/**
 * Divides a target's lag by where the log waits. The positions are turned into seconds by the source's own history of them; the
 * whole is the age of the oldest heartbeat that is not seen.
 * @param oldestUnseenMs 0 where all are seen.
 * @returns seconds of the log that wait at each stage; they add up to the whole.
 */
export function rungsOf(
  kind: Kind,
  standing: Standing,
  { log, reading }: Source,
  oldestUnseenMs: number,
  nowMs: number,
): ReadonlyMap<Stage, number> {
  const { positions } = standing;
  const at = new Map(positions.map(({ position, lsn }) => [position, lsn]));
  const seconds = new Map<Stage, number>();
  const add = (stage: Stage, ms: number) => seconds.set(stage, (seconds.get(stage) ?? 0) + ms / 1000);
  let reached = 0;
  for (const [position, stage] of STAGES[kind]) {
    const lsn = at.get(position);
    const age = lsn === undefined ? null : log.ageOf(lsn, nowMs);
    if (age === null) continue;
    // Positions are read one after the other: a later one may be ahead of an earlier one.
    add(holderOf(kind, stage, standing, reading), Math.max(0, age - reached));
    reached = Math.max(reached, age);
  }
  add(LAST[kind], Math.max(0, oldestUnseenMs - reached));
  return seconds;
}

/*
 * A sender that waits until the other side takes more is not what holds the log up, and what lies in the network's buffers while
 * the one process that receives and applies is busy applying waits for that.
 */
function holderOf(kind: Kind, stage: Stage, { isApplying, senderId }: Standing, reading: Source['reading']): Stage {
  if (stage !== 'walsender' && stage !== 'network') return stage;
  const isBlocked = reading?.senders.find(({ processId }) => processId === senderId)?.isBlocked === true;
  if (kind === 'logical' && isApplying === true && (isBlocked || stage === 'network')) return 'apply worker';
  if (stage === 'network' || !isBlocked) return stage;
  return kind === 'slot' ? 'consumer' : 'network';
}
