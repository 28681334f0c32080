import { expect, it } from 'vitest';
import type { Summary } from '../../src/report/summary.js';
import {
  configFor,
  contentHash,
  count,
  createDatabase,
  cutConnections,
  type Database,
  heldPace,
  runCli,
  startCli,
} from '../server/database.js';
import { watchChanges } from '../server/decoded.js';

/* Parents, children that go with them or lose their key, rows without a key, rows that move between partitions. */
const TABLES = `CREATE TABLE a (id int PRIMARY KEY, v text);
  CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a ON DELETE CASCADE, code text UNIQUE);
  CREATE TABLE c (id int PRIMARY KEY, b int REFERENCES b ON DELETE SET NULL, v text);
  CREATE TABLE keyless (at timestamptz, who text);
  ALTER TABLE keyless REPLICA IDENTITY FULL;
  CREATE TABLE p (id bigint, day date, v float8, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (MINVALUE) TO ('2010-01-01'); CREATE TABLE p2 PARTITION OF p DEFAULT;
  CREATE TABLE few (id smallint PRIMARY KEY CHECK (id BETWEEN 1 AND 60), v text);`;

const SETTINGS = `random_seed: 5\nnum_iterations: 6000\noperation_weights: [4, 3, 3]`;
const GROUPS = 'transaction: { statements: 5, savepoint_ratio: 0.4, rollback_ratio: 0.1 }';

async function checked(database: Database, run: Awaited<ReturnType<typeof runCli>>): Promise<Summary> {
  const { code, summary, stderr } = run;
  expect(stderr).not.toContain('error:');
  expect(code).toBe(0);
  for (const [table, { rows_expected: rows }] of Object.entries(summary.tables))
    expect(rows, table).toBe(await count(database, table));
  const { operations, committed, rejected, failed, rolled_back: rolledBack } = summary.totals;
  expect(committed! + rejected! + failed! + rolledBack!).toBe(operations);
  return summary;
}

it('a change-data consumer sees exactly the events of the summary', async () => {
  const database = await createDatabase(TABLES);
  const changes = await watchChanges(database);
  const summary = await checked(database, await runCli(configFor(database, `${SETTINGS}\n${GROUPS}`)));
  const { tables, transactions } = await changes.read();
  for (const [table, counts] of Object.entries(summary.tables)) {
    const seen = table === 'public.p' ? sum([tables['public.p1']!, tables['public.p2']!]) : tables[table];
    expect(seen, table).toMatchObject({
      insert: counts.insert.rows + counts.moved,
      update: counts.update.rows + counts.cascaded.update - counts.moved,
      delete: counts.delete.rows + counts.cascaded.delete + counts.moved,
    });
  }
  expect(sum(Object.values(tables))).toEqual(summary.events);
  expect(summary.tables['public.p']!.moved).toBeGreaterThan(10);
  // Not every transaction has something left when some of its savepoints are rolled back.
  expect(transactions).toBeLessThanOrEqual(summary.transactions.committed);
  expect(transactions).toBeGreaterThan(summary.transactions.committed * 0.95);
  await database.drop();
});

function sum(all: readonly { insert: number; update: number; delete: number }[]) {
  const total = (kind: 'insert' | 'update' | 'delete') => all.reduce((before, each) => before + each[kind], 0);
  return { insert: total('insert'), update: total('update'), delete: total('delete') };
}

it('groups statements and rolls back what it was asked to', async () => {
  const database = await createDatabase(TABLES);
  const summary = await checked(database, await runCli(configFor(database, `${SETTINGS}\n${GROUPS}`)));
  const { committed, intended_rollback: intended, rolled_back: refused } = summary.transactions;
  expect(refused).toBe(0);
  expect(summary.totals['rejected']).toBe(0);
  // 1,200 transactions of five; some are cut short where tables are empty.
  expect(committed + intended).toBeGreaterThanOrEqual(1200);
  expect(committed + intended).toBeLessThan(1250);
  expect(intended / (committed + intended)).toBeGreaterThan(0.08);
  expect(intended / (committed + intended)).toBeLessThan(0.12);
  // A tenth with their transactions; of the rest four of five may have a savepoint, of which half are rolled back.
  const share = summary.totals['rolled_back']! / 6000;
  expect(share).toBeGreaterThan(0.1 + 0.9 * 0.8 * 0.4 * 0.5 - 0.03);
  expect(share).toBeLessThan(0.1 + 0.9 * 0.8 * 0.4 * 0.5 + 0.03);
  await database.drop();
});

it('leaves the same rows with 1 and 3 workers, and when connections are cut', async () => {
  const hashes: Record<string, string>[] = [];
  for (const { workers, cuts } of [
    { workers: 1, cuts: 0 },
    { workers: 3, cuts: 6 },
  ]) {
    const database = await createDatabase(TABLES);
    const pace = heldPace(2000);
    const run = startCli(
      configFor(database, `${SETTINGS}\n${GROUPS}\nworkers: ${workers}`, cuts > 0 ? pace.traffic : ''),
    );
    await cutConnections(database, run.ended, { cuts, everyMs: 100 });
    pace.letGo();
    const summary = await checked(database, await run.ended);
    expect(summary.totals['in_doubt_unknown']).toBe(0);
    if (cuts > 0) expect(summary.totals['reconnects']).toBeGreaterThanOrEqual(2);
    hashes.push(await contentHash(database, Object.keys(summary.tables)));
    await database.drop();
  }
  expect(hashes[1]).toEqual(hashes[0]);
});

it('redraws a refused member alone, also where COMMIT refuses it, and sends on what stands behind it', async () => {
  const results: { hash: Record<string, string>; lanes: Summary['lanes'] }[] = [];
  for (const workers of [1, 3]) {
    const database = await createDatabase(`${TABLES}
      INSERT INTO a SELECT n, 'there for b, which would otherwise bring rows that are refused' FROM generate_series(1, 200) AS n;
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF hashtext(NEW::text) % 6 = 0 THEN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON c FOR EACH ROW EXECUTE FUNCTION refuse();
      CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();`);
    const settings = `${SETTINGS}\n${GROUPS}\nworkers: ${workers}\nrehearse: false\ninsert_rows: 1\nupdate_max_retries: 50`;
    const summary = await checked(database, await runCli(configFor(database, settings)));
    const { tables, errors, transactions } = summary;
    expect(Object.keys(errors)).toEqual(['23514']);
    // Each refused attempt is one error and one rollback; a COMMIT that does not say whose fault it was is one rollback more.
    expect(transactions.rolled_back).toBeGreaterThan(errors['23514']!.count);
    expect(tables['public.a']!.insert.rows).toBe(tables['public.a']!.insert.operations);
    for (const [table, { insert, update }] of Object.entries(tables)) {
      const isRefused = table === 'public.a' || table === 'public.c';
      expect(insert.retries + update.retries > 0, table).toBe(isRefused);
      expect(insert.rejected + update.rejected, table).toBe(0);
    }
    // A DELETE that would set keys of c to NULL is refused as well, and may have no other row to try.
    expect(summary.totals['retries']! + summary.totals['rejected']!).toBe(errors['23514']!.count);
    results.push({ hash: await contentHash(database, Object.keys(tables)), lanes: summary.lanes });
    await database.drop();
  }
  expect(results[1]).toEqual(results[0]);
});

it('rejects a member whose values are refused for good, and commits the others', async () => {
  const database = await createDatabase(`${TABLES}
    CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never' USING ERRCODE = '23514'; END $$;
    CREATE TRIGGER never BEFORE INSERT ON keyless EXECUTE FUNCTION never();`);
  const settings = `random_seed: 5\nnum_iterations: 2000\nconnections: 2\ntransaction: { statements: 8 }\nrehearse: false\ninsert_max_retries: 2\nerror_budget: { max_error_ratio: 1, quarantine_after: 100000 }`;
  const summary = await checked(database, await runCli(configFor(database, settings)));
  expect(summary.totals['rejected']).toBeGreaterThan(100);
  expect(summary.tables['public.keyless']!.insert).toMatchObject({ operations: 0, rows: 0 });
  expect(summary.totals['committed']! + summary.totals['rejected']!).toBe(2000);
  await database.drop();
});

// The trigger waits between a transaction's snapshot and its UPDATE, so that the lanes' transactions overlap on every machine.
it('runs at the isolation level asked for, and replays what the server cannot serialize', async () => {
  const database =
    await createDatabase(`CREATE TABLE a (id int PRIMARY KEY, v text, level text DEFAULT current_setting('transaction_isolation'));
    CREATE TABLE tally (n int); INSERT INTO tally VALUES (0);
    CREATE FUNCTION tally() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.005); UPDATE tally SET n = n + 1; RETURN NULL; END';
    CREATE TRIGGER tally AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION tally();`);
  const settings = `random_seed: 5\nnum_iterations: 300\nmanual_table_list: [a]\noperations: [INSERT]\ninsert_rows: 1\ncolumn_overrides: { a: { v: { type: constant, value: x } } }\nnull_ratio: 0\ntransaction: { statements: 2, isolation: repeatable read }\npipeline_depth: 2`;
  const { code, summary } = await runCli(configFor(database, settings));
  expect(code).toBe(0);
  expect(summary.totals['committed']).toBe(300);
  expect(Object.keys(summary.errors)).toEqual(['40001']);
  const { rows } = await database.client.query('SELECT n FROM tally');
  expect(rows).toEqual([{ n: 300 }]);
  await database.drop();
});

/* The trigger waits between a DELETE's snapshot and its work: that is when children come. */
const SLOW_DELETES = `CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.005); RETURN NULL; END $$;
  CREATE TRIGGER wait BEFORE DELETE ON a FOR EACH STATEMENT EXECUTE FUNCTION wait();
  CREATE TRIGGER wait BEFORE DELETE ON b FOR EACH STATEMENT EXECUTE FUNCTION wait();`;

it.each(['read committed', 'repeatable read'])(
  'keeps counts exact with rows sampled by the server, %s',
  async (isolation) => {
    const database = await createDatabase(`${TABLES}${SLOW_DELETES}`);
    const changes = await watchChanges(database);
    const settings = `num_iterations: 3000\nrow_selection: system_rows\nmanual_table_list: [a, b, c]\nconnections: 6
transaction: { statements: 2, savepoint_ratio: 0.4, rollback_ratio: 0.1, isolation: ${isolation} }`;
    const summary = await checked(database, await runCli(configFor(database, settings)));
    expect(summary.totals['rolled_back']).toBeGreaterThan(300);
    expect(summary.tables['public.a']!.delete.rows).toBeGreaterThan(50);
    // Nothing goes with a sampled row: not a child, and no child's key.
    const { tables } = await changes.read();
    expect(sum(Object.values(tables))).toEqual(summary.events);
    await database.drop();
  },
);

it('prepares what a transaction needs, also where that is more than may stay prepared', async () => {
  const database = await createDatabase(TABLES);
  const settings = 'random_seed: 5\nnum_iterations: 1000\nmax_prepared_statements: 8\ntransaction: { statements: 20 }';
  const summary = await checked(database, await runCli(configFor(database, settings)));
  expect(summary.errors).toEqual({});
  expect(summary.totals['retries']).toBe(0);
  await database.drop();
});

it('sizes between bounds: of operations and of transactions, the same again for the same seed', async () => {
  const settings = `random_seed: 5
num_iterations: 1500
operation_weights: [4, 2, 1]
insert_rows: { min: 2, max: 8 }
update_rows: { min: 1, max: 3 }
transaction: { statements: { min: 1, max: 7 } }`;
  const tables = 'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text)';
  const [one, two] = [await createDatabase(tables), await createDatabase(tables)];
  const [first, second] = [await runCli(configFor(one, settings)), await runCli(configFor(two, settings))];
  const summary = await checked(one, first);
  const each = (kind: 'insert' | 'update') => {
    const counts = Object.values(summary.tables).map((table) => table[kind]);
    return (
      counts.reduce((sum, { rows }) => sum + rows, 0) / counts.reduce((sum, { operations }) => sum + operations, 0)
    );
  };
  expect(Math.abs(each('insert') - 5)).toBeLessThan(0.3);
  expect(Math.abs(each('update') - 2)).toBeLessThan(0.2);
  expect(Math.abs(summary.totals.committed! / summary.transactions.committed - 4)).toBeLessThan(0.4);
  expect(second.summary.tables).toEqual(summary.tables);
  expect(await contentHash(two, ['a', 'b'])).toEqual(await contentHash(one, ['a', 'b']));
  const refused = await runCli(configFor(one, 'insert_rows: { min: 3, max: 2 }'));
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('insert_rows') as string });
  for (const database of [one, two]) await database.drop();
});
