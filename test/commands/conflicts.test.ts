import { describe, expect, it } from 'vitest';
import type { Summary } from '../../src/report/summary.js';
import {
  configFor,
  contentHash,
  count,
  createDatabase,
  cutConnections,
  type Database,
  runCli,
  startCli,
} from '../server/database.js';

/* Unique indexes of three kinds, and what every row that held a value of them did to it, in the order of the source. */
const TABLES = `CREATE TABLE single (id bigint PRIMARY KEY, code varchar(40) NOT NULL UNIQUE, v text);
  CREATE TABLE composite (id bigint PRIMARY KEY, a int NOT NULL, b varchar(30) NOT NULL, v text, UNIQUE (a, b));
  CREATE TABLE partial (id bigint PRIMARY KEY, code text NOT NULL, gone boolean NOT NULL, v text);
  CREATE UNIQUE INDEX partial_code ON partial (code) WHERE NOT gone;
  CREATE TABLE history (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xact bigint, kind text, place text, value text, id bigint);
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE r record; old_value text; new_value text; BEGIN
    IF TG_OP <> 'INSERT' THEN old_value := to_jsonb(OLD) - 'id' - 'v'; END IF;
    IF TG_OP <> 'DELETE' THEN new_value := to_jsonb(NEW) - 'id' - 'v'; END IF;
    IF old_value IS DISTINCT FROM new_value THEN
      IF old_value IS NOT NULL THEN INSERT INTO history (xact, kind, place, value, id) VALUES (txid_current(), 'free ' || TG_OP, TG_TABLE_NAME, old_value, OLD.id); END IF;
      IF new_value IS NOT NULL THEN INSERT INTO history (xact, kind, place, value, id) VALUES (txid_current(), 'take ' || TG_OP, TG_TABLE_NAME, new_value, NEW.id); END IF;
    END IF; RETURN NULL; END $$;
  CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON single FOR EACH ROW EXECUTE FUNCTION note();
  CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON composite FOR EACH ROW EXECUTE FUNCTION note();
  CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON partial FOR EACH ROW EXECUTE FUNCTION note();`;

const NAMES = ['single', 'composite', 'partial'];
const SETTINGS = `random_seed: 6\nmanual_table_list: [${NAMES.join(', ')}]\nnum_iterations: 6000\nnull_ratio: 0`;

/* Values that went from one row to another: freed how, taken how, in one transaction or not. */
const PASSED = `SELECT place, f.kind || ' → ' || t.kind AS way, f.xact = t.xact AS together, f.id = t.id AS same_id, count(*)::int AS n
  FROM (SELECT *, lead(n) OVER (PARTITION BY place, value ORDER BY n) AS next FROM history) AS f
  JOIN history AS t USING (place) WHERE f.kind LIKE 'free%' AND t.n = f.next AND t.kind LIKE 'take%' GROUP BY 1, 2, 3, 4`;

interface Passed {
  readonly place: string;
  readonly way: string;
  readonly together: boolean;
  readonly same_id: boolean;
  readonly n: number;
}

async function checked(
  database: Database,
  { code, summary, stderr }: Awaited<ReturnType<typeof runCli>>,
): Promise<Summary> {
  expect(stderr).not.toContain('error:');
  expect(summary.exit).toMatchObject({ code: 0 });
  expect(code).toBe(0);
  expect(summary.errors).toEqual({});
  for (const [table, { rows_expected: rows }] of Object.entries(summary.tables))
    expect(rows, table).toBe(await count(database, table));
  return summary;
}

async function passed({ client }: Database): Promise<readonly Passed[]> {
  return (await client.query<Passed>(PASSED)).rows;
}

describe('force_conflicts', () => {
  it('passes unique values on in every way, and the source refuses none of it', async () => {
    const database = await createDatabase(TABLES);
    const settings = `${SETTINGS}\nforce_conflicts: { enabled: true, weight: 3 }`;
    const summary = await checked(database, await runCli(configFor(database, settings)));
    const found = await passed(database);
    const total = (which: (each: Passed) => boolean) => found.filter(which).reduce((sum, { n }) => sum + n, 0);
    for (const place of NAMES) {
      for (const way of [
        'free UPDATE → take UPDATE',
        'free UPDATE → take INSERT',
        'free DELETE → take UPDATE',
        'free DELETE → take INSERT',
      ])
        for (const together of [true, false])
          expect(
            total((each) => each.place === place && each.way === way && each.together === together && !each.same_id),
            `${place}: ${way}, ${together ? 'one transaction' : 'two'}`,
          ).toBeGreaterThan(5);
    }
    // Weights 3, 2, 1 and 3: a third of all draws, of which some take two operations.
    expect(summary.totals['conflicts']).toBeGreaterThan(1000);
    // Two rows that exchanged theirs in one transaction.
    const { rows: swaps } = await database.client.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM (SELECT place, xact FROM history GROUP BY 1, 2
         HAVING count(*) = 6 AND count(DISTINCT id) = 2 AND count(DISTINCT value) = 3 AND count(*) FILTER (WHERE kind LIKE '%UPDATE') = 6) AS swaps`,
    );
    expect(swaps[0]!.n).toBeGreaterThan(30);
    // Keys of deleted rows that came again, with other values.
    const { rows: keys } = await database.client.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM history AS d JOIN history AS i USING (place, id) WHERE d.kind = 'free DELETE' AND i.kind = 'take INSERT' AND i.n > d.n`,
    );
    expect(keys[0]!.n).toBeGreaterThan(30);
    await database.drop();
  });

  it.each([
    ['DELETE', 'INSERT'],
    ['UPDATE', 'UPDATE'],
  ])('frees via %s and takes via %s alone where that is asked for', async (free, take) => {
    const database = await createDatabase(TABLES);
    const settings = `${SETTINGS}\nforce_conflicts: { enabled: true, weight: 5, free_via: [${free}], reuse_via: [${take}] }`;
    await checked(database, await runCli(configFor(database, settings)));
    const others = (await passed(database)).filter(({ same_id: same }) => !same);
    // A row that took a value may be updated to one that its predecessor once had: seldom, and no doing of ours.
    const ways = new Set(others.filter(({ n }) => n > 20).map(({ way }) => way));
    expect([...ways]).toEqual([`free ${free} → take ${take}`]);
    await database.drop();
  });

  it('leaves the same rows with 1 and 3 workers, when connections are cut, and in transactions of several', async () => {
    const hashes: Record<string, string>[] = [];
    for (const { workers, cuts } of [
      { workers: 1, cuts: 0 },
      { workers: 3, cuts: 6 },
    ]) {
      const database = await createDatabase(TABLES);
      const grouped = 'transaction: { statements: 4, savepoint_ratio: 0.3, rollback_ratio: 0.1 }';
      const settings = `${SETTINGS.replace('6000', '3000')}\nforce_conflicts: { enabled: true, weight: 3 }\nworkers: ${workers}\n${grouped}`;
      const run = startCli(configFor(database, settings));
      await cutConnections(database, run.ended, { cuts, everyMs: 200 });
      const summary = await checked(database, await run.ended);
      expect(summary.totals['in_doubt_unknown']).toBe(0);
      hashes.push(await contentHash(database, NAMES));
      await database.drop();
    }
    expect(hashes[1]).toEqual(hashes[0]);
  });

  it('keeps to what the tables allow: no DELETE where one raises, none below table_rows.min, and no NULL', async () => {
    const database = await createDatabase(`CREATE TABLE a (id int PRIMARY KEY, code text UNIQUE);
      CREATE TABLE b (id int PRIMARY KEY, code text UNIQUE); CREATE TABLE c (id int, code text UNIQUE, v int);
      CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$;
      CREATE TRIGGER raise BEFORE DELETE ON a FOR EACH ROW EXECUTE FUNCTION raise();
      INSERT INTO a SELECT i, i FROM generate_series(1, 250) AS i`);
    const settings = `random_seed: 2\nnum_iterations: 4000\nforce_conflicts: { enabled: true, weight: 10 }\ntable_rows: { min: 200, max: 400 }\nnull_ratio: 0\ncolumn_overrides: { c: { code: { type: "null" } } }`;
    const summary = await checked(database, await runCli(configFor(database, settings)));
    expect(summary.totals).toMatchObject({ rejected: 0, retries: 0 });
    expect(summary.tables['public.a']!.delete.operations).toBe(0);
    for (const table of ['a', 'b']) expect(await count(database, table)).toBeGreaterThanOrEqual(200);
    await database.drop();
  });

  it('says beforehand where it cannot be done', async () => {
    const database = await createDatabase('CREATE TABLE a (v text)');
    const none = await runCli(configFor(database, 'random_seed: 1\nforce_conflicts: { enabled: true }'));
    expect(none.code).toBe(1);
    expect(none.stderr).toContain('no targeted table has a unique index whose values can move from one row to another');
    const sampled = await runCli(configFor(database, 'row_selection: system_rows\nforce_conflicts: { enabled: true }'));
    expect(sampled.stderr).toContain('needs row_selection: owned; remove row_selection');
    const nothing = await runCli(
      configFor(database, 'random_seed: 1\noperations: [INSERT]\nforce_conflicts: { enabled: true }'),
    );
    expect(nothing.stderr).toContain('no operation in common with operations: [INSERT]');
    await database.drop();
  });
});
