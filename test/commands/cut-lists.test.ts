import { expect, it } from 'vitest';
import { cutLists } from '../../src/commands/cut-lists.js';

it.for([
  [
    'INSERT INTO "t" ("a", "b(x, y", "c", "d") VALUES ($1, $2::numeric(10,2), $3, $4), ($5, $6, $7, $8) RETURNING "a"',
    'INSERT INTO "t" ("a", "b(x, y", … 2 more) VALUES ($1, $2::numeric(10,2), … 2 more), ($5, $6, … 2 more) RETURNING "a"',
  ],
  [
    'UPDATE t SET a = $1, b = f($2, $3, $4), c = $5, d = $6 WHERE id = $7 AND x IN ($8, $9, $10)',
    'UPDATE t SET a = $1, b = f($2, $3, … 1 more), … 2 more WHERE id = $7 AND x IN ($8, $9, … 1 more)',
  ],
  ['INSERT INTO t VALUES ($1), ($2), ($3)', 'INSERT INTO t VALUES ($1), ($2), … 1 more'],
  ["DELETE FROM t WHERE name = 'a, b, c, d'", "DELETE FROM t WHERE name = 'a, b, c, d'"],
])('cuts lists, and nothing else: %s', ([sql, expected]) => {
  expect(cutLists(sql!, 2)).toBe(expected);
});
