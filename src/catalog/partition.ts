import { columnsOf, constantsIn } from './expression.js';
import type { Check } from './model.js';
import { parseExpression } from './parse.js';

/** The bounds of a leaf partition as the server writes them; null where it takes everything. */
export interface Bounds {
  readonly oid: string | number;
  readonly text: string | null;
  /** Conditions that the partition has by itself: CHECKs, and NOT NULL of columns that may be NULL elsewhere. */
  readonly checks: readonly { readonly name: string; readonly text: string }[] | null;
}

/** A foreign key as it is read: of the whole table (leaf null), or of one of its partitions. */
interface LeafKey {
  readonly conname: string;
  readonly leaf: string | number | null;
  readonly columns: readonly string[];
  readonly referenced_schema: string;
  readonly referenced_name: string;
  readonly referenced_columns: readonly string[];
}

/**
 * Where partitions have foreign keys of their own, a row must satisfy those of the partition that it falls into. Rows go
 * to the largest set of partitions that have the same ones, which are then keys of the whole table; `leftOut` counts the
 * others. Where there is no default partition, or some are left out, a row must lie within the bounds of one of those
 * that are used: a condition like a CHECK.
 */
export function usableLeaves<Key extends LeafKey>(
  leaves: readonly Bounds[],
  hasDefault: boolean,
  keys: readonly Key[],
): { keys: Key[]; bounds: Check[]; leftOut: number; columns: string[]; hashedWithGaps: string[] } {
  const own = keys.filter(({ leaf }) => leaf === null);
  const signatures = new Map<string, { leaves: Bounds[]; keys: Key[] }>();
  for (const leaf of leaves) {
    const found = new Map<string, Key>();
    for (const key of keys)
      if (String(key.leaf) === String(leaf.oid) && !found.has(meaningOf(key))) found.set(meaningOf(key), key);
    const signature = [...found.keys()].sort().join();
    const group = signatures.get(signature);
    if (group === undefined) signatures.set(signature, { leaves: [leaf], keys: [...found.values()] });
    else group.leaves.push(leaf);
  }
  const [first] = [...signatures.values()].sort((a, b) => b.leaves.length - a.leaves.length);
  const used = first?.leaves ?? [];
  const leftOut = leaves.length - used.length;
  const known = used.flatMap(({ text }) => (text === null ? [] : readBound(text)));
  return {
    keys: [...own, ...(first?.keys ?? []).filter((key) => !own.some((other) => meaningOf(other) === meaningOf(key)))],
    bounds: [
      ...(hasDefault && leftOut === 0 ? [] : boundsOf([...new Set(known.map(({ text }) => text))])),
      ...used.flatMap(ownChecks),
    ],
    leftOut,
    columns: [
      ...new Set(
        known.flatMap(({ text, hashes }) => [
          ...columnsOf(parseExpression(text)),
          ...hashes.flatMap(({ columns }) => columns),
        ]),
      ),
    ],
    // Of more leaves than are read, nothing can be said.
    hashedWithGaps: leaves.length < MOST_LEAVES ? columnsWithGaps(known.flatMap(({ hashes }) => hashes)) : [],
  };
}

/** So many leaves of a table are read. */
export const MOST_LEAVES = 200;

/** One level of hash partitioning within a leaf's bounds. */
interface Hash {
  /** The partitioned table that the level belongs to. */
  readonly parent: string;
  readonly modulus: number;
  readonly remainder: number;
  readonly columns: readonly string[];
}

const HASH_BOUND = 'satisfies_hash_partition(';

/**
 * A leaf's bounds without those of hash partitions, which no value can be made for: all rows find a partition where
 * every remainder has one.
 */
function readBound(bound: string): { text: string; hashes: Hash[] } {
  const hashes: Hash[] = [];
  let text = bound;
  for (let at = text.indexOf(HASH_BOUND); at >= 0; at = text.indexOf(HASH_BOUND)) {
    const call = text.slice(at, endOfCall(text, at + HASH_BOUND.length));
    const expression = parseExpression(call);
    const [parent, modulus, remainder] = constantsIn(expression);
    hashes.push({
      parent: parent!,
      modulus: Number(modulus),
      remainder: Number(remainder),
      columns: columnsOf(expression),
    });
    text = text.replace(call, () => 'true');
  }
  return { text, hashes };
}

/** The position behind the parenthesis that closes the one before `from`; those within quotes do not count. */
function endOfCall(text: string, from: number): number {
  let open = 1;
  let quote = '';
  for (let at = from; at < text.length; at++) {
    const character = text[at]!;
    if (quote !== '') quote = character === quote ? '' : quote;
    else if (character === "'" || character === '"') quote = character;
    else if (character === '(') open++;
    else if (character === ')' && --open === 0) return at + 1;
  }
  return text.length;
}

/** Columns of hash levels that lack a partition for some remainder. */
function columnsWithGaps(hashes: readonly Hash[]): string[] {
  const levels = new Map<string, Map<string, Hash>>();
  for (const hash of hashes) {
    const level = levels.get(hash.parent) ?? new Map<string, Hash>();
    level.set(`${hash.modulus}/${hash.remainder}`, hash);
    levels.set(hash.parent, level);
  }
  return [...levels.values()].flatMap((level) => {
    const parts = [...level.values()];
    const covered = parts.reduce((sum, { modulus }) => sum + 1 / modulus, 0);
    return covered > 1 - 1e-9 ? [] : parts[0]!.columns;
  });
}

/** A partition's own conditions, as conditions on all rows: they hold where a row falls into it. */
function ownChecks({ text, checks }: Bounds): Check[] {
  const bound = text === null ? 'true' : readBound(text).text;
  return (checks ?? []).map(({ name, text: condition }) => {
    const whole = `NOT (${bound}) OR (${condition})`;
    return { name, text: whole, expression: parseExpression(whole) };
  });
}

function meaningOf(key: LeafKey): string {
  return JSON.stringify([key.columns, key.referenced_schema, key.referenced_name, key.referenced_columns]);
}

function boundsOf(bounds: readonly string[]): Check[] {
  if (bounds.length === 0 || bounds.includes('true')) return [];
  const text = bounds.map((bound) => `(${bound})`).join(' OR ');
  return [{ name: 'the bounds of its partitions', text, expression: parseExpression(text) }];
}
