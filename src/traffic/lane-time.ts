import type { CounterBlock } from './counters.js';

const STATES = ['laneMs', 'inFlightMs', 'pausedMs'] as const;
type State = (typeof STATES)[number];

/** What a lane's time goes to. States that last are counted up to now whenever they are asked for: a run is read while it is on. */
export class LaneTime {
  private readonly counters: CounterBlock;
  /** In the order of STATES; 0: the lane is not in it. */
  private readonly sinceMs = [0, 0, 0];

  constructor(counters: CounterBlock) {
    this.counters = counters;
  }

  begin(state: State, nowMs: number): void {
    const index = STATES.indexOf(state);
    if (this.sinceMs[index] === 0) this.sinceMs[index] = nowMs;
  }

  end(state: State, nowMs: number): void {
    const index = STATES.indexOf(state);
    if (this.sinceMs[index]! > 0) this.counters.add(state, nowMs - this.sinceMs[index]!);
    this.sinceMs[index] = 0;
  }

  /** Counts what has passed, without ending anything. */
  bringUpToDate(nowMs: number): void {
    for (const state of STATES) {
      const index = STATES.indexOf(state);
      if (this.sinceMs[index] === 0) continue;
      this.end(state, nowMs);
      this.begin(state, nowMs);
    }
  }
}
