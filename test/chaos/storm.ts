import { seedOf, splitNumber } from '../../src/random/seed.js';
import { Stream } from '../../src/random/stream.js';
import type { Animal } from '../zoo/animal.js';
import { CHECKS } from '../zoo/checks.js';
import { COLUMNS } from '../zoo/columns.js';
import { KEYS } from '../zoo/keys.js';
import { PARTITIONS } from '../zoo/partitions.js';
import { FAULTS } from './faults.js';
import { chaosRound, type Outcome } from './round.js';
import { Site } from './site.js';

/* With `redrawn`, only the server knows what it takes. A table that is excluded and that triggers write is in the stream, and not in the summary. */
const ANIMALS: readonly Animal[] = [...COLUMNS, ...CHECKS, ...KEYS, ...PARTITIONS].filter(
  ({ redrawn, settings }) => redrawn !== true && !settings?.includes('exclude_table_list'),
);

interface Weather {
  readonly seed: number;
  readonly minutes: number;
  /** Number of rounds. */
  readonly most: number;
  /** Number of a round's operations. */
  readonly operations: number;
  /** Names of the only schema, and of the only fault; null: all. */
  readonly animal: string | null;
  readonly fault: string | null;
}

/** Runs rounds for some minutes, or until `most` of them; `tell` hears of each. */
export async function storm(
  { seed, minutes, most, operations, animal: only, fault }: Weather,
  tell: (text: string) => void,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const animals = ANIMALS.filter(({ name }) => only === null || name === only);
  const faults = FAULTS.filter(({ name }) => fault === null || name === fault);
  const endMs = performance.now() + minutes * 60_000;
  const site = await Site.open();
  try {
    for (let round = 0; round < most && performance.now() < endMs; round++) {
      const stream = Stream.of(splitNumber(seedOf(BigInt(seed)), round));
      const animal = animals[stream.below(animals.length)]!;
      const outcome = await chaosRound(site, { animal, faults, name: `chaos_${round}`, operations, stream });
      outcomes.push(outcome);
      tell(told(round, outcome));
    }
  } finally {
    await site.close();
  }
  return outcomes;
}

function told(
  round: number,
  { animal, isRecorded, struck, threadDeaths, seconds, events, reproducible, wrong }: Outcome,
): string {
  const counts = new Map<string, number>();
  for (const fault of struck) counts.set(fault, (counts.get(fault) ?? 0) + 1);
  if (threadDeaths > 0) counts.set('thread died', threadDeaths);
  const faults = [...counts].map(([name, count]) => (count === 1 ? name : `${name} × ${count}`)).join(', ');
  const verdict = wrong.length === 0 ? 'holds' : `DOES NOT HOLD: ${wrong.join('; ')}`;
  return `round ${round + 1}, ${animal}: ${events} events in ${seconds.toFixed(0)} s; ${faults === '' ? 'no fault' : faults}; ${reproducible ? 'reproducible' : 'not reproducible, and says so'}${isRecorded ? '; recorded and verified' : ''}; ${verdict}`;
}

/** Returns the share of the rounds that had to be reproducible and were; 1 if there were none. */
export function reproducibleShare(outcomes: readonly Outcome[]): number {
  const due = outcomes.filter(({ mustBeReproducible }) => mustBeReproducible);
  return due.length === 0 ? 1 : due.filter(({ reproducible }) => reproducible).length / due.length;
}
