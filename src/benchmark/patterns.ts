import type { Override } from '../config/load.js';

/* Keys of `generator` that a pattern sets. */
const KEYS = {
  mixed: {},
  single: { insert_rows: 1, update_rows: 1, delete_rows: 1, transaction: { statements: 1 } },
  batches: { insert_rows: 100, update_rows: 100, delete_rows: 100, transaction: { statements: 1 } },
  'big-transaction': { insert_rows: 100, update_rows: 100, delete_rows: 100, transaction: { statements: 500 } },
  wide: { insert_rows: 1, update_rows: 1, delete_rows: 1, min_col_size_bytes: 8192, transaction: { statements: 1 } },
  hot: {
    insert_rows: 1,
    update_rows: 1,
    delete_rows: 1,
    operations: ['INSERT', 'UPDATE', 'DELETE'],
    operation_weights: { INSERT: 1, UPDATE: 20, DELETE: 1 },
    skew: { distribution: 'zipf', exponent: 1.2 },
    transaction: { statements: 1 },
  },
} as const;

/** What kind of load a benchmark is made with; mixed: that of the configuration. */
export const PATTERNS = Object.keys(KEYS) as readonly Pattern[];
export type Pattern = keyof typeof KEYS;

/** The keys of the configuration that a pattern stands for. */
export function overridesFor(pattern: Pattern): Override[] {
  return Object.entries(KEYS[pattern]).map(([key, value]) => ({
    path: ['generator', key],
    value,
    option: `--pattern ${pattern}`,
  }));
}
