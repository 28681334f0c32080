import { expect, it } from 'vitest';
import { configFor, databasesPerTest, runCli } from '../server/database.js';

const { tables } = databasesPerTest();

it('draws the values of overrides from ranges, patterns and templates', async () => {
  const database = await tables(
    'CREATE TABLE o (id int PRIMARY KEY, price numeric(8,2), ratio float8, code varchar(8) NOT NULL, note text, gone text, short varchar(3), doc jsonb)',
  );
  const settings = `random_seed: 5
num_iterations: 600
null_ratio: 0
operations: [INSERT, UPDATE]
column_overrides:
  o:
    price: { type: decimal_range, min: 1.5, max: 9.99 }
    ratio: { type: decimal_range, min: -0.001, max: 0.001, scale: 4 }
    code: { type: pattern, pattern: "^(AB|X[0-9a-f])-\\\\d{2,4}[^a-z]?$" }
    note: { type: faker, method: lorem.word, null_ratio: 0.5 }
    gone: { type: constant, value: null }
    short: { type: choice, values: ['😀😀😀'] }
    doc:
      type: json
      value:
        name: "{{person.fullName}}"
        quote: "say \\"hi\\" {{ordinal}}"
        age: { $override: { type: int_range, min: 18, max: 99 } }
        price: { $override: { type: decimal_range, min: 0, max: 1 } }
        state: { $override: { type: choice, values: [open, null, 3] } }
        on: { $override: { type: date_range, min: "2024-01-01", max: "2024-01-31" } }
        tags: [fixed, "{{word.noun}}"]
        nested: { ok: true, none: null }`;
  const { code, stderr } = await runCli(configFor(database, settings));
  expect(code, stderr).toBe(0);
  const { rows } = await database.client.query(`SELECT count(*)::int AS n, count(DISTINCT price)::int AS prices,
    bool_and(gone IS NULL AND short = '😀😀😀') AS others, bool_and(price BETWEEN 1.5 AND 9.99) AND bool_and(ratio BETWEEN -0.001 AND 0.001) AS within,
    bool_and(code ~ '^(AB|X[0-9a-f])-\\d{2,4}[^a-z]?$') AS matching, count(DISTINCT left(code, 2))::int AS starts,
    avg((note IS NULL)::int)::float AS nulls,
    bool_and((doc->>'age')::int BETWEEN 18 AND 99 AND jsonb_typeof(doc->'price') = 'number' AND doc->>'quote' LIKE 'say "hi" %'
      AND length(doc->>'name') > 3 AND doc->>'on' LIKE '2024-01-%' AND doc->'tags'->>0 = 'fixed' AND doc->'nested' = '{"ok": true, "none": null}') AS docs,
    count(DISTINCT doc->'state')::int AS states FROM o`);
  const found = rows[0] as Record<string, number | boolean>;
  expect(found['n']).toBeGreaterThan(500);
  expect(found).toMatchObject({ others: true, within: true, matching: true, docs: true, states: 3 });
  expect(found['prices']).toBeGreaterThan(300);
  expect(found['starts']).toBe(17);
  expect(found['nulls']).toBeCloseTo(0.5, 1);
});

it.each([
  ['price: { type: decimal_range, min: 5, max: 1 }', /min 5 is above max 1/],
  ['price: { type: decimal_range, min: 0.001, max: 0.002 }', /no number with 2 decimals from 0\.001 to 0\.002/],
  ['price: { type: decimal_range, min: 0, max: 1e9 }', /numeric\(8,2\), and the server rejects a value: numeric field/],
  ['code: { type: pattern, pattern: "(" }', /no values can be made from the pattern: .*Unterminated group/],
  ['code: { type: pattern, pattern: "a(?=b)" }', /no values can be made from the pattern: "\(\?=b\)" is not supported/],
  ['code: { type: pattern, pattern: "[a-z]{20}" }', /character varying\(8\), and the value "[a-z]{20}" is longer/],
  ['code: { type: constant, value: x, null_ratio: 0.1 }', /the column is NOT NULL; remove null_ratio/],
  ['code: { type: constant, value: null }', /the column is NOT NULL; use another type of override/],
  ['price: { type: json, value: {} }', /json needs a column of type json, jsonb or a text type/],
  ['doc: { type: json, value: { a: "{{no.such}}" } }', /faker has no method "no\.such"/],
  ['doc: { type: json, value: { a: { $override: { type: int_range, min: 2, max: 1 } } } }', /min 2 is above max 1/],
  [
    'doc: { type: json, value: { $override: { type: nothing } } }',
    /doc\.value\.\$override\.type: expected type: choice, int_range/,
  ],
])('says before the first write what is wrong with %s', async (override, expected) => {
  const database = await tables(
    'CREATE TABLE o (id int PRIMARY KEY, price numeric(8,2), code varchar(8) NOT NULL, doc jsonb)',
  );
  const { code, stderr } = await runCli(configFor(database, `column_overrides: { o: { ${override} } }`));
  expect(code, stderr).toBe(1);
  expect(stderr).toMatch(expected);
});

it('gives a table weights of its own without changing its share of the operations', async () => {
  const database = await tables(
    'CREATE TABLE log (id int PRIMARY KEY, v text); CREATE TABLE state (id int PRIMARY KEY, v text)',
  );
  const settings =
    'random_seed: 1\nnum_iterations: 2000\noperation_weights: { INSERT: 3, UPDATE: 2, DELETE: 1, tables: { log: { UPDATE: 0, DELETE: 0 }, public.state: { UPDATE: 20 } } }';
  const { code, summary } = await runCli(configFor(database, settings));
  expect(code).toBe(0);
  const of = (table: string) => {
    const { insert, update, delete: deleted } = summary.tables[table]!;
    return [insert.operations, update.operations, deleted.operations];
  };
  const [log, state] = [of('public.log'), of('public.state')];
  expect(log.slice(1)).toEqual([0, 0]);
  expect(log[0]! / 2000).toBeCloseTo(0.5, 1);
  expect(state[1]! / state[0]!).toBeGreaterThan(4);
  // What a table is not meant to take is not missing.
  expect(summary.coverage).toMatchObject({ tables: 2, complete: 2 });
  const wrong = await runCli(
    configFor(database, 'operation_weights: { INSERT: 1, tables: { log: { INSERT: 0, UPDATE: 0, DELETE: 0 } } }'),
  );
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toMatch(/operation_weights\.tables\.log: all weights are 0; to leave the table alone/);
});
