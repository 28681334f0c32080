import { LIMITS, type Limit } from '../traffic/verdict.js';
import { figure, seconds } from './figures.js';

/** What limited the run in a phase of its schedule: a stage, or the time of spikes. */
export interface PhaseVerdict {
  readonly phase: string;
  readonly seconds: number;
  /** Seconds of the phase by what limited the run in them. */
  readonly limits: Readonly<Record<Limit, number>>;
}

/** Adds up, second by second, what limited a run in each phase of its schedule. */
export class PhaseLog {
  private readonly byPhase = new Map<string, Record<Limit, number>>();

  add(phase: string, limit: Limit, seconds: number): void {
    const limits = this.byPhase.get(phase) ?? noSeconds();
    limits[limit] += seconds;
    this.byPhase.set(phase, limits);
  }

  /** Returns the phases in the order in which they began, in whole tenths of seconds. */
  verdicts(): PhaseVerdict[] {
    return [...this.byPhase].map(([phase, limits]) => verdictFor(phase, (limit) => limits[limit]));
  }
}

/** Returns the verdicts of several shards of a run as one: each limit held as long as in the shard where it held longest. */
export function mergePhases(shards: readonly (readonly PhaseVerdict[])[]): PhaseVerdict[] {
  const all = shards.flat();
  return [...new Set(all.map(({ phase }) => phase))].map((phase) => {
    const same = all.filter((each) => each.phase === phase);
    const merged = verdictFor(phase, (limit) => Math.max(...same.map(({ limits }) => limits[limit])));
    return { ...merged, seconds: Math.max(...same.map(({ seconds }) => seconds)) };
  });
}

/** Returns a line for each phase in which something other than the schedule was the limit. */
export function limitTexts(phases: readonly PhaseVerdict[]): string[] {
  return phases.flatMap(({ phase, seconds: lasted, limits }) =>
    LIMITS.flatMap((limit) =>
      limit === 'rate-bound' || limits[limit] === 0
        ? []
        : [`${limit} in ${phase}: ${figure(limits[limit])} of ${seconds(lasted)}`],
    ),
  );
}

function verdictFor(phase: string, secondsOf: (limit: Limit) => number): PhaseVerdict {
  const limits = noSeconds();
  for (const limit of LIMITS) limits[limit] = tenths(secondsOf(limit));
  return { phase, seconds: tenths(LIMITS.reduce((sum, limit) => sum + limits[limit], 0)), limits };
}

function noSeconds(): Record<Limit, number> {
  return { 'server-bound': 0, 'generator-bound': 0, 'rate-bound': 0 };
}

function tenths(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
