import type { CounterBlock } from './counters.js';

const STATES = ['laneMs', 'inFlightMs', 'pausedMs'] as const;
type State = (typeof STATES)[number];

/** How a lane spends its time. A state that lasts is counted up to the present when it is read during the run. */
export class LaneTime {
  private readonly counters: CounterBlock;
  /** When the lane entered each state, in the order of STATES; 0: it is not in that state. */
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

  /** Counts the time that has passed, without ending a state. */
  bringUpToDate(nowMs: number): void {
    for (const state of STATES) {
      const index = STATES.indexOf(state);
      if (this.sinceMs[index] === 0) continue;
      this.end(state, nowMs);
      this.begin(state, nowMs);
    }
  }
}
