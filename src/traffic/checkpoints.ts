import { type SavedCheckpoint, serialized } from '../history/lane-files.js';
import type { LaneLog } from '../history/lane-log.js';
import type { Lane } from '../lane/lane.js';
import type { CounterTotals } from './counters.js';

/* A state is saved when this many times as long as the last one took has passed: a thousandth of the lane's time. */
const BETWEEN = 1000;
/* These states are written to the database under test, so they must stay a small part of its load. */
const STORE_EVERY_MS = 180_000;
const MOST_BYTES_PER_MS = 50;

/**
 * Saves a lane's state at its checkpoints, so that it can be continued from there when its thread is gone. `store`: takes some of
 * the states, for the case that its process is gone; null if nobody would continue it then.
 */
export function saveCheckpoints(
  lane: Lane,
  log: LaneLog,
  totals: CounterTotals,
  store: ((saved: SavedCheckpoint) => void) | null,
): void {
  let [savedMs, tookMs, storedMs] = [0, 0, Number.NEGATIVE_INFINITY];
  const { number } = lane;
  lane.onCheckpoint = () => {
    const startMs = performance.now();
    if (startMs - savedMs < tookMs * BETWEEN && !log.isLarge) return;
    const { operations } = lane;
    const state = lane.save();
    const saved = serialized({ operations, sent: totals.laneSent(number), told: totals.laneTold(number), state });
    void log.checkpoint(saved);
    savedMs = performance.now();
    tookMs = savedMs - startMs;
    const betweenMs = Math.max(STORE_EVERY_MS, saved.bytes.length / MOST_BYTES_PER_MS);
    if (store === null || savedMs - storedMs < betweenMs) return;
    storedMs = savedMs;
    store(saved);
  };
}
