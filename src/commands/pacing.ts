import type { Config } from '../config/load.js';
import type { Pacing } from '../traffic/pacer.js';

/* Below this an arrival is late because a thread was, not because the database is. */
const UNAVOIDABLE_SECONDS = 0.05;

/** The schedule that the configuration asks for; null for the closed model, as fast as it goes. */
export function pacingOf({ traffic }: Config): Pacing | null {
  const { rate, stages, spikes, catch_up: catchUp } = traffic;
  if (rate === undefined && stages.length === 0) return null;
  const seconds = (ms: number | undefined) => (ms === undefined ? Number.POSITIVE_INFINITY : ms / 1000);
  return {
    shape: {
      stages:
        rate !== undefined
          ? [{ rate, duration: Number.POSITIVE_INFINITY, ramp: false }]
          : stages.map((stage) => ({ ...stage, duration: seconds(stage.duration) })),
      spikes: spikes.map((spike) => ({
        rate: spike.rate,
        duration: spike.duration / 1000,
        every: seconds(spike.every),
        offset: spike.offset / 1000,
      })),
      end: seconds(traffic.duration),
    },
    arrival: traffic.arrival,
    unit: traffic.rate_unit,
    backlogSeconds:
      catchUp === 'all'
        ? Number.POSITIVE_INFINITY
        : catchUp === 'drop'
          ? UNAVOIDABLE_SECONDS
          : traffic.catch_up_seconds,
  };
}
