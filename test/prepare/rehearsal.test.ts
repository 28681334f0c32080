import { expect, it } from 'vitest';
import { configFor, count, databasesPerTest, runCli } from '../server/database.js';

const { tables } = databasesPerTest();

/* What no catalogue tells: triggers that raise, swallow and write elsewhere, and a rule. */
const SCHEMA = `
  CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never'; END $$;
  CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
  CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'too late' USING ERRCODE = '23514'; END $$;
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (now(), pg_backend_pid()); RETURN NEW; END $$;
  CREATE TABLE refused (id int PRIMARY KEY, v text); CREATE TRIGGER t BEFORE INSERT ON refused FOR EACH ROW EXECUTE FUNCTION never();
  CREATE TABLE kept (id int PRIMARY KEY, v text); CREATE TRIGGER t BEFORE DELETE ON kept FOR EACH ROW EXECUTE FUNCTION swallow();
  CREATE TABLE ruled (id int PRIMARY KEY, v text); CREATE RULE r AS ON UPDATE TO ruled DO INSTEAD NOTHING;
  CREATE TABLE deferred (id int PRIMARY KEY, v text);
  CREATE CONSTRAINT TRIGGER t AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
  CREATE TABLE log (at timestamptz, pid int, PRIMARY KEY (at, pid));
  CREATE TABLE noted (id int PRIMARY KEY, v text); CREATE TRIGGER t AFTER INSERT ON noted FOR EACH ROW EXECUTE FUNCTION note();
  CREATE TABLE plain (id int PRIMARY KEY, v text)`;
const SETTINGS = 'random_seed: 4\nnum_iterations: 3000\nexclude_table_list: [log]';

it('finds beforehand what triggers and rules do, leaves it out, and leaves nothing behind', async () => {
  const database = await tables(SCHEMA);
  const trial = await runCli(configFor(database, SETTINGS), ['--dry-run']);
  expect(trial.code).toBe(0);
  for (const table of ['refused', 'kept', 'ruled', 'deferred', 'log', 'noted', 'plain'])
    expect(await count(database, table), table).toBe(0);

  const { code, summary, stderr } = await runCli(configFor(database, SETTINGS));
  expect(code).toBe(0);
  expect(summary.errors).toEqual({});
  for (const line of [
    'public.refused: a trial INSERT was rejected (P0001: never) by trigger t, so no INSERT',
    'public.kept: DELETE has no effect',
    'public.ruled: UPDATE has no effect',
    'public.deferred: a trial INSERT was rejected (23514: too late) by trigger t, so no INSERT',
  ]) {
    expect(stderr).toContain(line);
    expect(trial.stderr).toContain(line);
  }
  // The trigger's key comes from a clock that stands still within a transaction: one row at a time passes.
  const { insert } = summary.tables['public.noted']!;
  expect(insert.rows).toBe(insert.operations);
  expect(await count(database, 'log')).toBe(insert.rows);
  for (const kind of ['insert', 'update', 'delete'] as const)
    expect(summary.tables['public.plain']![kind].operations).toBeGreaterThan(50);
  expect(summary.tables['public.kept']!.delete.operations).toBe(0);
  expect(summary.tables['public.ruled']!.update.operations).toBe(0);
});

it('rehearse: false tries everything in the run; what keeps failing is set aside there', async () => {
  const database = await tables(SCHEMA);
  const settings = `${SETTINGS}\nrehearse: false\nmanual_table_list: [refused, plain]\nerror_budget: { max_error_ratio: 1, quarantine_after: 5 }\ninsert_max_retries: 1`;
  const { code, summary, stderr } = await runCli(configFor(database, settings));
  expect(code).toBe(0);
  expect(stderr).not.toContain('a trial');
  expect(stderr).toContain('public.refused: INSERT is skipped from now on');
  expect(summary.errors['P0001']!.count).toBeGreaterThan(10);
  expect(summary.tables['public.plain']!.insert.operations).toBeGreaterThan(1000);
});

it('says beforehand where a publication refuses an UPDATE or DELETE for want of a replica identity', async () => {
  const database = await tables('CREATE TABLE a (v text, n int); CREATE PUBLICATION p FOR TABLE a');
  const { code, summary, stderr } = await runCli(configFor(database, 'random_seed: 4\nnum_iterations: 200'));
  expect(code).toBe(0);
  expect(stderr).toMatch(/public\.a: a trial UPDATE was rejected \(55000.*REPLICA IDENTITY FULL/);
  expect(summary.errors).toEqual({});
  expect(summary.tables['public.a']!.insert.operations).toBe(200);
});

it('constant defaults come now and then, never where they are not wanted', async () => {
  const shown: number[] = [];
  for (const defaults of ['immutable', 'never']) {
    const database = await tables(
      "CREATE TABLE a (id int PRIMARY KEY, v text DEFAULT 'it''s so', n int DEFAULT -471147)",
    );
    const settings = `random_seed: 4\nnum_iterations: 500\noperations: [INSERT]\ndefaults: ${defaults}`;
    expect((await runCli(configFor(database, settings))).code).toBe(0);
    shown.push(await count(database, "a WHERE v = 'it''s so'"), await count(database, 'a WHERE n = -471147'));
  }
  expect(shown[0]).toBeGreaterThan(3);
  expect(shown[1]).toBeGreaterThan(3);
  expect(shown.slice(2)).toEqual([0, 0]);
});

it('sets aside what row security keeps from an ordinary user, and refuses views and foreign tables by name', async () => {
  const role = `ordinary_${process.pid}`;
  const database = await tables(`CREATE ROLE ${role} LOGIN;
    CREATE TABLE unseen (id int PRIMARY KEY, v text); ALTER TABLE unseen ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON unseen FOR INSERT WITH CHECK (true);
    CREATE TABLE closed (id int PRIMARY KEY, v text); ALTER TABLE closed ENABLE ROW LEVEL SECURITY;
    CREATE TABLE free (id int PRIMARY KEY, v text); CREATE VIEW v AS SELECT id, v FROM free;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`);
  try {
    const settings = 'random_seed: 4\nnum_iterations: 600';
    const asRole = (yaml: string) => configFor(database, yaml).replace('user: postgres', `user: ${role}`);
    const { code, summary, stderr } = await runCli(asRole(settings));
    expect(code).toBe(0);
    expect(summary.errors).toEqual({});
    expect(stderr).toContain('public.unseen: UPDATE has no effect');
    expect(stderr).toContain('public.closed: a trial INSERT was rejected (42501');
    expect(summary.tables['public.unseen']!.insert.rows).toBe(await count(database, 'unseen'));
    expect(summary.tables['public.free']!.delete.operations).toBeGreaterThan(20);
    const named = await runCli(asRole(`${settings}\nmanual_table_list: [v]`));
    expect(named.code).toBe(1);
    expect(named.stderr).toContain('"v" is a view, not a table');
  } finally {
    await database.client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

it('columns that a trigger does not let change are left out of UPDATEs, and nothing else', async () => {
  const columns = Array.from({ length: 8 }, (_, n) => `c${n}`);
  const database = await tables(`
    CREATE FUNCTION fixed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF (NEW.c2, NEW.c5) IS DISTINCT FROM (OLD.c2, OLD.c5) THEN RAISE EXCEPTION 'c2 and c5 are for ever'; END IF; RETURN NEW; END $$;
    CREATE TABLE t (id int PRIMARY KEY, ${columns.map((name) => `${name} text NOT NULL`).join(', ')}, done boolean NOT NULL DEFAULT false);
    CREATE TRIGGER fixed BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION fixed();
    CREATE TABLE before AS SELECT * FROM t LIMIT 0;
    CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO before VALUES (OLD.*); RETURN NULL; END $$;
    CREATE TRIGGER keep AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION keep()`);
  for (const seed of [1, 2, 3]) {
    const settings = `random_seed: ${seed}\nnum_iterations: 400\nmanual_table_list: [t]\noperation_weights: [2, 3, 1]\nedge_ratio: 0`;
    const { code, summary, stderr } = await runCli(configFor(database, settings));
    expect(code).toBe(0);
    expect(summary.errors).toEqual({});
    expect(summary.tables['public.t']!.update.operations).toBeGreaterThan(100);
    for (const name of ['c2', 'c5'])
      expect(stderr).toContain(
        `public.t.${name}: a trial UPDATE was rejected (P0001: c2 and c5 are for ever) by trigger fixed, so UPDATE does not change it`,
      );
  }
  const changed = columns.map((name) => `count(*) FILTER (WHERE t.${name} <> before.${name})::int AS ${name}`);
  const { rows } = await database.client.query<Record<string, number>>(
    `SELECT ${changed.join(', ')} FROM t JOIN before USING (id)`,
  );
  for (const name of columns)
    if (name === 'c2' || name === 'c5') expect(rows[0]![name], name).toBe(0);
    else expect(rows[0]![name], name).toBeGreaterThan(5);
});

it('leaves out a table whose rows cannot be read, and names a row that a trigger takes for granted', async () => {
  const database = await tables(`CREATE FOREIGN DATA WRAPPER away; CREATE SERVER away FOREIGN DATA WRAPPER away;
    CREATE TABLE split (id int NOT NULL, k int NOT NULL) PARTITION BY LIST (k);
    CREATE TABLE split_1 PARTITION OF split FOR VALUES IN (1);
    CREATE FOREIGN TABLE split_2 PARTITION OF split FOR VALUES IN (2) SERVER away;
    CREATE TABLE kinds (id int PRIMARY KEY, parent int REFERENCES kinds);
    CREATE TABLE tools (id int PRIMARY KEY, name text);
    CREATE FUNCTION add_kind() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO kinds VALUES (-NEW.id - 1, -2000); RETURN NULL; END';
    CREATE TRIGGER add_kind AFTER INSERT ON tools FOR EACH ROW EXECUTE FUNCTION add_kind();
    CREATE TABLE plain (id int PRIMARY KEY, v text)`);
  const { code, summary, stderr } = await runCli(configFor(database, 'random_seed: 4\nnum_iterations: 300'));
  expect(code).toBe(0);
  expect(stderr).toMatch(/public\.split: its rows cannot be counted: the server reports ".*" \(\w{5}\), so no INSERT/);
  expect(stderr).toMatch(
    /public\.tools: a trial INSERT was rejected \(23503\) by trigger add_kind, which needs .* with parent = -2000/,
  );
  expect(summary.tables['public.split']!.rows_expected).toBe(null);
  expect(summary.tables['public.tools']!.insert.operations).toBe(0);
  expect(summary.totals).toMatchObject({ operations: 300, rejected: 0, failed: 0 });
  for (const table of ['plain', 'kinds'])
    expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
});
