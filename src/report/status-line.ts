/** A figure in words, and how soon it is left out where a line is too narrow: the highest rank goes first. */
export interface Part {
  readonly text: string;
  readonly rank: number;
}

/** Figures at one moment, for people and for scripts. */
export interface Reading {
  /** In the order in which they are read. */
  readonly parts: readonly Part[];
  /** How far it is, from 0 to 1; null where no end is known. */
  readonly share: number | null;
  readonly figures: object;
}

const BETWEEN = ' · ';
const SHORTEST_BAR = 8;
const LONGEST_BAR = 24;

/** Everything, for a line that nobody rewrites. */
export function plainLine({ parts }: Pick<Reading, 'parts'>): string {
  return parts.map(({ text }) => text).join(BETWEEN);
}

/** As much as fits, by rank, with a bar where there is room; never longer than `columns`. */
export function fittingLine({ parts, share }: Pick<Reading, 'parts' | 'share'>, columns: number): string {
  const kept = [...parts];
  while (kept.length > 1 && plainLine({ parts: kept }).length > columns) {
    const least = kept.reduce((worst, part) => (part.rank >= worst.rank ? part : worst));
    kept.splice(kept.indexOf(least), 1);
  }
  const line = plainLine({ parts: kept }).slice(0, columns);
  const room = Math.min(LONGEST_BAR, columns - line.length - 1);
  if (share === null || room < SHORTEST_BAR) return line;
  const filled = Math.round(Math.min(1, Math.max(0, share)) * room);
  return `${line} ${'█'.repeat(filled)}${'░'.repeat(room - filled)}`;
}
