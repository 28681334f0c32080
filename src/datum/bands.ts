/** Whole numbers first … first + count − 1. */
export interface Band {
  readonly first: number;
  readonly count: number;
}

/* Ordinals from `from` on visit `members` in turn, `base` numbers of each having been used. */
interface Phase {
  readonly from: number;
  readonly base: number;
  readonly members: readonly Band[];
}

/** Deals ordinals out over bands in turn, so that all of them fill up evenly: each ordinal below `capacity` has a number of its own. */
export class Dealer {
  readonly capacity: number;
  private readonly phases: readonly Phase[];

  constructor(bands: readonly Band[]) {
    this.capacity = bands.reduce((sum, { count }) => sum + count, 0);
    const phases: Phase[] = [];
    let from = 0;
    let base = 0;
    // The smallest bands leave first.
    for (const end of [...new Set(bands.map(({ count }) => count))].sort((a, b) => a - b)) {
      const members = bands.filter(({ count }) => count > base);
      phases.push({ from, base, members });
      from += members.length * (end - base);
      base = end;
    }
    this.phases = phases;
  }

  numberOf(ordinal: number): number {
    const place = ordinal % this.capacity;
    let at = this.phases.length - 1;
    while (this.phases[at]!.from > place) at--;
    const { from, base, members } = this.phases[at]!;
    const step = Math.floor((place - from) / members.length);
    const { first } = members[turnOf(place - from, members.length)]!;
    return first + base + step;
  }
}

/**
 * The sum of the digits in base `count`, modulo `count`: like the last digit a bijection among neighbours, but without its
 * period. Lanes take every n-th ordinal, and would meet the same bands forever.
 */
function turnOf(place: number, count: number): number {
  if (count === 1) return 0;
  let sum = 0;
  for (let rest = place; rest > 0; rest = Math.floor(rest / count)) sum += rest % count;
  return sum % count;
}
