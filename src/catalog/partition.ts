import type { Check } from './model.js';
import { parseExpression } from './parse.js';

/** The bounds of a leaf partition as the server writes them; null where it takes everything. */
export interface Bounds {
  readonly oid: string | number;
  readonly text: string | null;
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
): { keys: Key[]; bounds: Check[]; leftOut: number } {
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
  return {
    keys: [...own, ...(first?.keys ?? []).filter((key) => !own.some((other) => meaningOf(other) === meaningOf(key)))],
    bounds: boundsOf(used, hasDefault && leftOut === 0),
    leftOut,
  };
}

function meaningOf(key: LeafKey): string {
  return JSON.stringify([key.columns, key.referenced_schema, key.referenced_name, key.referenced_columns]);
}

function boundsOf(leaves: readonly Bounds[], hasDefault: boolean): Check[] {
  const known = leaves.flatMap(({ text }) => text ?? []);
  if (hasDefault || known.length === 0 || known.every((bound) => bound.startsWith('satisfies_hash_partition(')))
    return [];
  const text = known.map((bound) => `(${bound})`).join(' OR ');
  return [{ name: 'the bounds of its partitions', text, expression: parseExpression(text) }];
}
