import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { CLI, configFor, count, type Database, databasesPerTest, runCli } from '../server/database.js';

const { tables, demo } = databasesPerTest();

function inspect(database: Database, settings: string, ...options: string[]) {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-inspect-'));
  try {
    const file = path.join(folder, 'config.yaml');
    writeFileSync(file, configFor(database, `random_seed: 1\n${settings}`));
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, 'inspect', '-c', file, ...options], {
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

it('tells of the demo tables that all is covered, in words', async () => {
  const { status, stdout } = inspect(await demo(), 'manual_table_list: [eg_users, eg_orders]');
  expect(status).toBe(0);
  expect(stdout).toContain('public.eg_users: INSERT, UPDATE, DELETE');
  expect(stdout).toMatch(/email \S+.*unique text: email plus a number/);
  expect(stdout).toMatch(/foreign key eg_orders_user_id_fkey: satisfied: references rows of public\.eg_users/);
  expect(stdout).toContain('2 tables: 2 take every operation, 0 some, 0 none.');
});

const SCHEMA = `
  CREATE TYPE state AS ENUM ('open', 'done');
  CREATE FUNCTION odd(n int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT n % 2 = 1';
  CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never'; END $$;
  CREATE TABLE parent (id int PRIMARY KEY, v text);
  CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent, price numeric(6,2) CHECK (price BETWEEN 1 AND 100),
    n int CHECK (odd(n)), state state, never int CHECK (never < 0 AND never > 10), UNIQUE (parent, n));
  CREATE TABLE refused (id int PRIMARY KEY, v text); CREATE TRIGGER t BEFORE INSERT ON refused FOR EACH ROW EXECUTE FUNCTION never();
  CREATE TABLE places (id int PRIMARY KEY, area tsrange, EXCLUDE USING gist (area WITH -|-))`;

it('says per constraint how it is met or why not, for scripts as well, and ends with 4; writes nothing', async () => {
  const database = await tables(SCHEMA);
  const { status, stdout } = inspect(database, 'exclude_table_list: [parent]', '--json', '--rehearse');
  expect(status).toBe(4);
  const report = JSON.parse(stdout) as {
    covered: boolean;
    tables: {
      table: string;
      operations: Record<string, boolean>;
      columns: { name: string; recipe: string }[];
      constraints: { name: string; kind: string; status: string; how: string }[];
      findings: { reason: string; remedy: string; prevents: string[] }[];
    }[];
  };
  expect(report.covered).toBe(false);
  const table = (name: string) => report.tables.find((each) => each.table === `public.${name}`)!;
  const child = table('child');
  const recipe = (name: string) => child.columns.find((column) => column.name === name)!.recipe;
  expect(recipe('price')).toContain('numbers from 1.00 to 100.00');
  expect(recipe('n')).toMatch(/^one of \d+ values that the server accepted/);
  expect(recipe('state')).toContain("one of 'open', 'done'");
  const constraint = (name: string) => child.constraints.find((each) => each.name === name)!;
  expect(constraint('child_pkey')).toMatchObject({ kind: 'unique', status: 'satisfied' });
  expect(constraint('child_price_check')).toMatchObject({
    status: 'satisfied',
    how: 'values of price are chosen to meet it',
  });
  expect(constraint('child_n_check').status).toBe('searched');
  expect(constraint('child_n_check').how).toMatch(/^the server accepted \d+ of \d+ values that were tried$/);
  // The parent is not targeted and has no rows.
  expect(child.operations).toEqual({ insert: false, update: false, delete: false });
  expect(child.findings.map(({ remedy }) => remedy).join()).toContain('untargeted_parents: insert');
  expect(table('places').constraints.find(({ kind }) => kind === 'exclusion')!.status).toBe('not satisfied');
  for (const name of ['parent', 'child', 'refused', 'places']) expect(await count(database, name)).toBe(0);
});

it('rehearses only where it is asked to', async () => {
  const database = await tables(SCHEMA);
  const settings = 'manual_table_list: [refused]';
  expect(inspect(database, settings).status).toBe(0);
  const rehearsed = inspect(database, settings, '--rehearse');
  expect(rehearsed.status).toBe(4);
  expect(rehearsed.stdout).toMatch(/Rehearsed: the operations of 1 of 1 tables were tried and rolled back\./);
  expect(rehearsed.stdout).toContain('! a trial INSERT was rejected (P0001: never) by trigger t, so no INSERT');
});

it('reports a configuration that is wrong with 1', async () => {
  const { status, stderr } = inspect(await tables(SCHEMA), 'manual_table_list: [chidl]');
  expect(status).toBe(1);
  expect(stderr).toContain('child');
});

it('untargeted_parents: insert lets an INSERT bring the parents that are missing, and only then', async () => {
  const database = await tables(
    `CREATE TABLE top (id int PRIMARY KEY, v text); CREATE TABLE middle (id int PRIMARY KEY, top int NOT NULL REFERENCES top);
     CREATE TABLE child (id int PRIMARY KEY, middle int NOT NULL REFERENCES middle, v text)`,
  );
  const settings = 'random_seed: 1\nmanual_table_list: [child]\nnum_iterations: 500';
  const refused = await runCli(configFor(database, settings));
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('untargeted_parents: insert');
  expect(await count(database, 'top')).toBe(0);
  const { code, summary } = await runCli(configFor(database, `${settings}\nuntargeted_parents: insert`));
  expect(code).toBe(0);
  expect(summary.totals).toMatchObject({ committed: 500, retries: 0 });
  expect(summary.tables['public.child']!.rows_expected).toBe(await count(database, 'child'));
  expect(summary.tables['public.middle']!.insert.operations).toBe(0);
  expect(await count(database, 'middle')).toBeGreaterThan(0);
  expect(summary.tables['public.middle']!.rows_expected).toBe(await count(database, 'middle'));
});

it('exclude_columns_from_update keeps columns as they were inserted', async () => {
  const database = await tables(`CREATE TABLE a (id int PRIMARY KEY, kept text, changed int);
    CREATE TABLE seen (n int);
    CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.kept IS DISTINCT FROM OLD.kept THEN RAISE EXCEPTION 'changed'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER watch BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION watch()`);
  const settings = 'random_seed: 1\nnum_iterations: 500\nmanual_table_list: [a]\nexclude_columns_from_update:';
  const { code, summary } = await runCli(configFor(database, `${settings} { a: [kept] }`));
  expect(code).toBe(0);
  expect(summary.errors).toEqual({});
  expect(summary.tables['public.a']!.update.operations).toBeGreaterThan(50);
  const wrong = await runCli(configFor(database, `${settings} { a: [kpet] }`));
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain('kept');
});

it('says which partitions take no rows, since they have foreign keys of their own', async () => {
  const database = await tables(
    `CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE a (id int, kind text, ref int) PARTITION BY LIST (kind);
     CREATE TABLE a1 PARTITION OF a FOR VALUES IN ('1'); CREATE TABLE a2 PARTITION OF a FOR VALUES IN ('2'); CREATE TABLE a3 PARTITION OF a FOR VALUES IN ('3');
     ALTER TABLE a3 ADD FOREIGN KEY (ref) REFERENCES p`,
  );
  const { status, stdout } = inspect(database, 'manual_table_list: [a]');
  expect(status).toBe(0);
  expect(stdout).toContain(
    '! 1 of its partitions get no rows, because their foreign keys differ from those of the others',
  );
});

it('a wrong override is refused before a sequence moves', async () => {
  const database = await tables('CREATE TABLE a (id serial PRIMARY KEY, n inet)');
  const settings = 'random_seed: 1\ncolumn_overrides: { a: { n: { type: choice, values: [no address] } } }';
  const { code, stderr } = await runCli(configFor(database, settings));
  expect(code).toBe(1);
  expect(stderr).toContain('the server rejects a value');
  const { rows } = await database.client.query<{ last: string }>('SELECT last_value AS last FROM a_id_seq');
  expect(rows[0]!.last).toBe('1');
});

it('says which defaults are left to the server now and then', async () => {
  const database = await tables(`CREATE TABLE parent (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    mark text NOT NULL DEFAULT session_user, at timestamptz DEFAULT now(), fixed int DEFAULT 7,
    checked text DEFAULT lower('MARK') CHECK (checked <> 'mark'))`);
  const { status, stdout } = inspect(database, 'defaults: all');
  expect(status).toBe(0);
  const left = stdout.split('\n').filter((line) => line.includes('; now and then its default, computed by the server'));
  expect(left.map((line) => line.trim().split(' ')[0])).toEqual(['mark', 'at']);
});

it('tells what the rehearsal has learned, and which rows come with each row', async () => {
  const database = await tables(`
    CREATE FUNCTION role_exists() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = NEW.role) THEN RAISE EXCEPTION 'unknown role'; END IF; RETURN NEW; END $$;
    CREATE TABLE users (id int PRIMARY KEY, role name NOT NULL); CREATE TRIGGER r AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION role_exists();
    CREATE TABLE bill (id int PRIMARY KEY, v text); CREATE TABLE line (id int PRIMARY KEY, bill int NOT NULL REFERENCES bill ON DELETE CASCADE);
    CREATE FUNCTION has_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NOT EXISTS (SELECT FROM line WHERE bill = NEW.id) THEN RAISE EXCEPTION 'no line'; END IF; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER l AFTER INSERT ON bill DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION has_line()`);
  const { status, stdout } = inspect(database, '', '--rehearse');
  expect(status).toBe(0);
  expect(stdout).toMatch(/role name +names of existing roles, learned from trigger r/);
  expect(stdout).toContain('each INSERT also inserts rows of public.line, because a deferred trigger wants them');
});
