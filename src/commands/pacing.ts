import type { Config } from '../config/load.js';
import { type Seed, seedOf, split, splitNumber } from '../random/seed.js';
import type { Pacing } from '../traffic/pacer.js';
import type { RateShape, Timetable } from '../traffic/schedule.js';
import { Schedule } from '../traffic/schedule.js';
import { SteeredSchedule } from '../traffic/steering.js';

/* If an arrival is late by less, the thread was late, not the database. */
const UNAVOIDABLE_SECONDS = 0.05;

/** When operations are due in a run. */
export interface RunPacing {
  /** The pacing of lanes; null for the closed model, as fast as possible. */
  readonly pacing: Pacing | null;
  /** The same schedule, for observers of the run. */
  readonly timetable: Timetable | null;
  /** The configured schedule; null if there is none. */
  readonly planned: Timetable | null;
  /** The schedule to steer during the run; null if the rate is fixed. */
  readonly steered: SteeredSchedule | null;
}

/** `benchmarkBacklog`: where a benchmark decides on the rate, for so many seconds late arrivals are kept; null where none does. */
export function pacingOf({ traffic }: Config, randomSeed: string, benchmarkBacklog: number | null): RunPacing {
  const shape = shapeOf(traffic, split(seedOf(BigInt(randomSeed)), 'spikes'));
  const planned = shape === null ? null : new Schedule(shape);
  const end = Math.min(seconds(traffic.duration), planned?.end ?? Number.POSITIVE_INFINITY);
  const steered =
    benchmarkBacklog !== null || traffic.hold_lag > 0 || traffic.control_file !== undefined
      ? new SteeredSchedule(end)
      : null;
  const pacing: Pacing = {
    shape: steered !== null || shape === null ? { stages: [], spikes: [], end } : shape,
    arrival: traffic.arrival,
    unit: traffic.rate_unit,
    backlogSeconds: benchmarkBacklog ?? backlogOf(traffic),
    steering: steered?.memory ?? null,
  };
  return {
    pacing: planned === null && steered === null ? null : pacing,
    timetable: steered ?? planned,
    planned,
    steered,
  };
}

function shapeOf({ rate, stages, spikes, duration }: Config['traffic'], seed: Seed): RateShape | null {
  if (rate === undefined && stages.length === 0) return null;
  return {
    stages:
      rate !== undefined
        ? [{ rate, duration: Number.POSITIVE_INFINITY, ramp: false }]
        : stages.map((stage) => ({ ...stage, duration: seconds(stage.duration) })),
    spikes: spikes.map((spike, index) => ({
      rate: spike.rate,
      duration: spike.duration / 1000,
      every: seconds(spike.every),
      offset: spike.offset / 1000,
      replaces: spike.mode === 'replace',
      ...(spike.jitter > 0 ? { jitter: { share: spike.jitter, seed: splitNumber(seed, index) } } : {}),
    })),
    end: seconds(duration),
  };
}

/* A longer backlog from a rate that was too high would be a burst at the right rate. */
const HELD_BACKLOG_SECONDS = 0.25;

function backlogOf({ catch_up: catchUp, catch_up_seconds: most, hold_lag: holdLag }: Config['traffic']): number {
  if (holdLag > 0) return HELD_BACKLOG_SECONDS;
  if (catchUp === 'all') return Number.POSITIVE_INFINITY;
  return catchUp === 'drop' ? UNAVOIDABLE_SECONDS : most;
}

function seconds(ms: number | undefined): number {
  return ms === undefined ? Number.POSITIVE_INFINITY : ms / 1000;
}
