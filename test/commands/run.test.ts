import { describe, expect, it } from 'vitest';
import { configFor, contentHash, count, databasesPerTest, runCli, startCli } from '../server/database.js';

const TABLES = ['eg_users', 'eg_orders'];
const { demo, tables } = databasesPerTest();
const DEMO = 'manual_table_list: [eg_users, eg_orders]\nrandom_seed: 12345';

describe('a run', () => {
  // That the rows do not depend on the number of workers is reproducible.test.ts's.
  it('counts the rows of every table exactly', async () => {
    const database = await demo();
    const { code, summary } = await runCli(configFor(database, `${DEMO}\nnum_iterations: 4000\nworkers: 4`));
    expect(code).toBe(0);
    expect(summary.totals).toMatchObject({
      operations: 4000,
      committed: 4000,
      rejected: 0,
      failed: 0,
      in_doubt_unknown: 0,
    });
    expect(summary.reproducible).toBe(true);
    for (const table of TABLES) {
      const entry = summary.tables[`public.${table}`]!;
      expect(entry.rows_expected).toBe(await count(database, table));
      for (const kind of ['insert', 'update', 'delete'] as const)
        expect(entry[kind].operations).toBeGreaterThanOrEqual(200);
    }
  });

  it('follows the weights within 1 %, with 1 and with 8 lanes', async () => {
    for (const connections of [1, 8]) {
      const database = await demo();
      const { summary } = await runCli(
        configFor(
          database,
          `${DEMO}\nnum_iterations: 4000\nconnections: ${connections}\ntable_weights: { eg_orders: 3 }`,
        ),
      );
      const share = (table: string, kind: 'insert' | 'update' | 'delete') =>
        summary.tables[`public.${table}`]![kind].operations / 4000;
      for (const [table, weight] of [
        ['eg_users', 1],
        ['eg_orders', 3],
      ] as const) {
        expect(Math.abs(share(table, 'insert') - (weight / 4) * (3 / 6))).toBeLessThan(0.01);
        expect(Math.abs(share(table, 'update') - (weight / 4) * (2 / 6))).toBeLessThan(0.01);
        expect(Math.abs(share(table, 'delete') - (weight / 4) * (1 / 6))).toBeLessThan(0.01);
      }
    }
  });

  it('starts on empty tables: parents come first, updates and deletes are made up for', async () => {
    const database =
      await tables(`CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id uuid PRIMARY KEY, a_id int NOT NULL REFERENCES a, u int UNIQUE);
      CREATE TABLE c (b_id uuid NOT NULL REFERENCES b, at date, note text)`);
    const { code, summary } = await runCli(configFor(database, 'num_iterations: 3000\nrandom_seed: 3'));
    expect(code).toBe(0);
    expect(summary.totals).toMatchObject({ committed: 3000, rejected: 0 });
    for (const table of ['a', 'b', 'c']) {
      const entry = summary.tables[`public.${table}`]!;
      expect(entry.rows_expected).toBe(await count(database, table));
      expect(Math.abs(entry.update.operations / 3000 - 1 / 9)).toBeLessThan(0.01);
    }
    expect(summary.tables['public.a']!.insert.rows).toBeGreaterThan(
      summary.tables['public.a']!.insert.operations * 4 - 1,
    );
  });

  it('covers every type of the demo, with identity values of ours or the server', async () => {
    for (const identity of ['generate', 'database']) {
      const database = await demo();
      const { summary } = await runCli(
        configFor(
          database,
          `manual_table_list: [eg_types]\nrandom_seed: 1\nnum_iterations: 600\nidentity_values: ${identity}`,
        ),
      );
      expect(summary.totals).toMatchObject({ committed: 600, rejected: 0, retries: 0 });
      expect(summary.tables['public.eg_types']!.rows_expected).toBe(await count(database, 'eg_types'));
    }
  });

  it('moves sequences that only defaults name, and never below where others are with them', async () => {
    const database = await tables(`CREATE SEQUENCE shared; CREATE SEQUENCE "Log numbers"; CREATE SEQUENCE late;
      CREATE TABLE customer (id bigint PRIMARY KEY DEFAULT nextval('shared'), v text);
      CREATE TABLE item (id int PRIMARY KEY DEFAULT nextval('shared'), customer bigint REFERENCES customer, n int NOT NULL DEFAULT nextval('late'::text::regclass) UNIQUE);
      CREATE TABLE other (id bigint PRIMARY KEY DEFAULT nextval('shared'));
      INSERT INTO other SELECT nextval('shared') FROM generate_series(1, 5000);
      CREATE TABLE log (id bigint PRIMARY KEY DEFAULT nextval('"Log numbers"'), item bigint);
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log (item) VALUES (NEW.id); RETURN NULL; END';
      CREATE TRIGGER note AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION note()`);
    const { code, summary } = await runCli(
      configFor(
        database,
        'random_seed: 1\nnum_iterations: 400\nexclude_table_list: [other]\noperation_weights: [8, 1, 1]',
      ),
    );
    expect(code).toBe(0);
    // The trigger's numbers and ours do not meet.
    expect(summary.totals).toMatchObject({ committed: 400, rejected: 0, retries: 0 });
    const { rows } = await database.client.query(`SELECT nextval('shared')::int AS shared,
      nextval('late') = (SELECT max(n) + 1 FROM item) AS late, nextval('"Log numbers"') > (SELECT max(id) FROM log) AS log`);
    expect(rows).toEqual([{ shared: 5001, late: true, log: true }]);
  });

  it('samples rows of the whole table where that is asked for', async () => {
    const database = await demo();
    const { code, summary, stderr } = await runCli(
      configFor(database, 'manual_table_list: [eg_users, eg_orders]\nnum_iterations: 2000\nrow_selection: system_rows'),
    );
    expect(code).toBe(0);
    expect(summary.row_selection).toBe('system_rows');
    expect(summary.reproducible).toBe(false);
    expect(stderr).not.toContain('using row_selection: owned');
    expect(summary.totals).toMatchObject({ committed: 2000, rejected: 0 });
    for (const table of TABLES)
      expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
    for (const kind of ['insert', 'update', 'delete'] as const) expect(summary.events[kind]).toBeGreaterThan(200);
  });

  it('draws new values after a unique violation, and takes rows for what the server says', async () => {
    const database = await tables(`CREATE TABLE t (id int PRIMARY KEY, pick int UNIQUE)`);
    const yaml = configFor(
      database,
      'random_seed: 1\nnum_iterations: 300\ninsert_rows: 1\noperations: [INSERT, DELETE]\noperation_weights: [1, 1]\ncolumn_overrides: { t: { pick: { type: int_range, min: 1, max: 120 } } }',
    );
    const { summary } = await runCli(yaml);
    expect(summary.totals['committed']).toBe(300);
    expect(summary.tables['public.t']!.rows_expected).toBe(await count(database, 't'));
  });

  it('goes on above the keys of the run before', async () => {
    const database = await demo();
    const yaml = configFor(database, `${DEMO}\nnum_iterations: 2000`);
    const first = await runCli(yaml);
    const second = await runCli(yaml);
    expect(first.summary.totals['retries']).toBe(0);
    expect(second.summary.totals).toMatchObject({ committed: 2000, retries: 0, rejected: 0 });
    expect(second.summary.tables['public.eg_users']!.rows_expected).toBe(await count(database, 'eg_users'));
  });

  it('leaves sequences where the application can go on, during and after the run', async () => {
    const database =
      await tables(`CREATE TABLE s (id serial PRIMARY KEY, v text); CREATE TABLE g (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
      INSERT INTO s (v) VALUES ('before'); INSERT INTO g (v) VALUES ('before')`);
    const run = startCli(configFor(database, 'random_seed: 1\nnum_iterations: 6000'));
    let during = 0;
    const finished = run.ended.then(() => true);
    while (!(await Promise.race([finished, new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 20))]))) {
      await database.client.query("INSERT INTO s (v) VALUES ('application')");
      await database.client.query("INSERT INTO g (v) VALUES ('application')");
      during++;
    }
    const { summary } = await run.ended;
    expect(summary.totals).toMatchObject({ committed: 6000, rejected: 0 });
    // What the application inserted between the look and the reservation is stepped aside for.
    expect(summary.totals['retries']).toBeLessThan(10);
    expect(during).toBeGreaterThan(10);
    for (const table of ['s', 'g']) {
      const { rows } = await database.client.query<{ id: string; highest: string }>(
        `WITH before AS (SELECT max(id) AS highest FROM ${table}) INSERT INTO ${table} (v) SELECT 'after' FROM before RETURNING id, (SELECT highest FROM before)`,
      );
      expect(Number(rows[0]!.id)).toBe(Number(rows[0]!.highest) + 1);
    }
  });

  it('never meets its own values again, however often the same seed runs', async () => {
    const database = await tables('CREATE TABLE o (id serial PRIMARY KEY, uq text UNIQUE, u uuid UNIQUE, v int)');
    for (let run = 0; run < 3; run++) {
      const { summary } = await runCli(configFor(database, 'random_seed: 1\nnum_iterations: 800'));
      expect(summary.totals).toMatchObject({ committed: 800, rejected: 0, retries: 0 });
    }
  });

  it('fills tables that reference themselves, and leaves NULL what may be NULL', async () => {
    for (const rows of ['owned', 'system_rows']) {
      const database = await tables(`CREATE TABLE may (id serial PRIMARY KEY, boss int REFERENCES may, v text);
        CREATE TABLE must (id serial PRIMARY KEY, boss int NOT NULL REFERENCES must, v text); CREATE TABLE drawn (id int PRIMARY KEY, boss int NOT NULL REFERENCES drawn, v text)`);
      const generator = `random_seed: 1\nnum_iterations: 1500\nnull_ratio: 0.2\nrow_selection: ${rows}\ncolumn_overrides: { drawn: { id: { type: int_range, min: 1, max: 2000000000 } } }`;
      const { summary } = await runCli(configFor(database, generator));
      expect(summary.totals).toMatchObject({ committed: 1500, rejected: 0 });
      const { rows: found } = await database.client.query<{ nulls: string; self: string; n: string }>(
        'SELECT count(*) FILTER (WHERE boss IS NULL) AS nulls, count(*) FILTER (WHERE boss = id) AS self, count(*) AS n FROM may',
      );
      expect(Number(found[0]!.self)).toBeLessThan(20);
      if (rows === 'owned') expect(Math.abs(Number(found[0]!.nulls) / Number(found[0]!.n) - 0.2)).toBeLessThan(0.06);
      expect(await count(database, 'must')).toBeGreaterThan(100);
      expect(await count(database, 'drawn')).toBeGreaterThan(100);
    }
  });

  it('goes on where keys are few: they are used again', async () => {
    const database =
      await tables(`CREATE TYPE few AS ENUM ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'); CREATE TABLE e (k few PRIMARY KEY, v int);
      CREATE TABLE s (k char(1) PRIMARY KEY, v int); CREATE TABLE o (k boolean PRIMARY KEY, v int)`);
    const hashes: Record<string, string>[] = [];
    for (const workers of [1, 2]) {
      await database.client.query('TRUNCATE e, s, o');
      const { code, summary } = await runCli(
        configFor(database, `random_seed: 1\nnum_iterations: 3000\nworkers: ${workers}`),
      );
      expect(code).toBe(0);
      expect(summary.totals).toMatchObject({ operations: 3000, committed: 3000, rejected: 0 });
      for (const table of ['e', 's', 'o']) {
        expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
        expect(summary.tables[`public.${table}`]!.insert.rows).toBeGreaterThan(40);
      }
      hashes.push(await contentHash(database, ['e', 's', 'o']));
    }
    expect(hashes[1]).toEqual(hashes[0]);
  });

  it.each([
    'pipeline_depth: 1\nexisting_rows: 0\nnum_iterations: 600',
    'connections: 16\npipeline_depth: 64\nnum_iterations: 2000',
    // More values than one statement takes parameters: it is split, in one transaction.
    'insert_rows: 6000\nupdate_rows: 100\ndelete_rows: 500\nnum_iterations: 8',
    'operations: [UPDATE, DELETE]\noperation_weights: [3, 1]\nnum_iterations: 600',
    'max_prepared_statements: 8\nnum_iterations: 600',
  ])('carries out %j with exact counts', async (generator) => {
    const database = await demo();
    const { code, summary } = await runCli(configFor(database, `${DEMO}\n${generator}`));
    expect(code).toBe(0);
    expect(summary.totals).toMatchObject({ committed: summary.totals['operations'], retries: 0 });
    for (const table of TABLES)
      expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
  });

  it('fills columns to their least size', async () => {
    const database = await tables(
      'CREATE TABLE w (id int PRIMARY KEY, t text, b bytea, j jsonb, i int[], f boolean[], s text[], v tsvector, n varchar(40))',
    );
    const { summary } = await runCli(
      configFor(database, 'random_seed: 1\nnum_iterations: 300\nmin_col_size_bytes: 500\nnull_ratio: 0'),
    );
    expect(summary.totals).toMatchObject({ committed: 300, rejected: 0 });
    const sizes = [
      'octet_length(t)',
      'length(b)',
      'octet_length(j::text)',
      'pg_column_size(i)',
      // Stored it may be compressed; a boolean takes a byte.
      'cardinality(f)',
      'pg_column_size(s)',
      'octet_length(v::text)',
    ];
    const { rows } = await database.client.query<Record<string, number>>(
      `SELECT ${sizes.map((size, index) => `min(${size}) AS c${index}`).join(', ')} FROM w`,
    );
    for (const [name, size] of Object.entries(rows[0]!)) expect(size, name).toBeGreaterThanOrEqual(500);
  });

  it('takes any identifier', async () => {
    const database =
      await tables(`CREATE SCHEMA "Odd ""one"""; CREATE TABLE "Odd ""one"""."select" ("from" int PRIMARY KEY, "a.b" text, "Üñí" date, "with space" int, "q""uote" text);
      CREATE TABLE "Odd ""one"""."Mixed Case" ("Id" bigint PRIMARY KEY, "order" int REFERENCES "Odd ""one"""."select")`);
    const { summary, stderr } = await runCli(
      configFor(database, `schema_name: 'Odd "one"'\nrandom_seed: 1\nnum_iterations: 500`),
    );
    expect(stderr).not.toContain('error');
    expect(Object.keys(summary.tables)).toEqual(['"Odd ""one"""."Mixed Case"', '"Odd ""one"""."select"']);
    expect(summary.totals).toMatchObject({ committed: 500, rejected: 0 });
  });

  it('lists a partitioned table once', async () => {
    const database = await tables(
      'CREATE TABLE p (id int, k int, PRIMARY KEY (id, k)) PARTITION BY HASH (id); CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1)',
    );
    const { summary } = await runCli(
      configFor(
        database,
        'random_seed: 1\nnum_iterations: 200\noperations: [INSERT, DELETE]\noperation_weights: [2, 1]',
      ),
    );
    expect(Object.keys(summary.tables)).toEqual(['public.p']);
    expect(summary.tables['public.p']!.rows_expected).toBe(await count(database, 'p'));
  });

  it('pauses all lanes together', async () => {
    const database = await demo();
    const { summary } = await runCli(
      configFor(
        database,
        `${DEMO}\nnum_iterations: 400\nwait_after_operations: 100\nwait_duration_seconds: 0.4\nworkers: 2`,
      ),
    );
    expect(summary.totals['committed']).toBe(400);
    expect(summary.elapsed_seconds).toBeGreaterThan(1.2);
  });
});

describe('numbers', () => {
  it('of summary, scraped metrics and tables agree', async () => {
    const database = await demo();
    const run = startCli(
      configFor(database, `${DEMO}\nnum_iterations: 5000`).replace('{ enabled: false }', '{ port: 0 }'),
    );
    await run.saw('metrics on ');
    let last = '';
    const scrape = async () => {
      const stderr = await portOf(run);
      return (await fetch(`http://127.0.0.1:${stderr}/metrics`)).text();
    };
    const port = await portOf(run);
    expect(await (await fetch(`http://127.0.0.1:${port}/healthz`)).text()).toBe('ok\n');
    const finished = run.ended.then(() => true);
    while (!(await Promise.race([finished, new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 20))])))
      last = await scrape().catch(() => last);
    const { summary } = await run.ended;
    // The last scrape came before the end: counters only ever grew towards the summary's.
    expect(metric(last, 'eventgen_operations_total', 'outcome="committed"')).toBeLessThanOrEqual(5000);
    expect(metric(last, 'eventgen_rows_total', 'operation="insert"')).toBeLessThanOrEqual(summary.events.insert);
    expect(metric(last, 'eventgen_operations_total', 'outcome="committed"')).toBeGreaterThan(0);
    for (const table of TABLES)
      expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
  });
});

async function portOf(run: ReturnType<typeof startCli>): Promise<string> {
  await run.saw('/metrics\n');
  return run.stderr().match(/:(\d+)\/metrics/)![1]!;
}

function metric(text: string, name: string, label: string): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
