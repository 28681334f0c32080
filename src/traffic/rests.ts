import type { LaneLog } from '../history/lane-log.js';
import type { Lane } from '../lane/lane.js';
import type { CounterTotals } from './counters.js';

/* A state is saved when this many times as long as the last one took has passed: half a percent of the lane's time. */
const BETWEEN = 200;

/** Saves a lane's state where it is at rest, so that it can be continued from there when its thread is gone. */
export function saveAtRest(lane: Lane, log: LaneLog, totals: CounterTotals): void {
  let [savedMs, tookMs] = [0, 0];
  const { number } = lane;
  lane.onRest = () => {
    const startMs = performance.now();
    if (startMs - savedMs < tookMs * BETWEEN) return;
    const { operations } = lane;
    log.rest({ operations, sent: totals.laneSent(number), told: totals.laneTold(number), state: lane.save() });
    savedMs = performance.now();
    tookMs = savedMs - startMs;
  };
}
