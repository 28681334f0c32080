import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import type { Entry } from '../../src/bulk/journal.js';
import type { PageData } from '../../src/page/data.js';
import type { LoadSummary } from '../../src/report/load.js';
import { startCluster } from '../../src/server/cluster.js';
import {
  CLI,
  configFor,
  connectTo,
  contentHash,
  count,
  createDatabase,
  cutConnections,
  type Database,
  runCli,
  runCommand,
} from '../server/database.js';

const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-load-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Loaded {
  readonly code: number | null;
  readonly stderr: string;
  readonly summary: LoadSummary;
}

let counter = 0;

/** A load as a user calls it; `running` gets the process as soon as there is one. */
async function load(
  yaml: string,
  options: readonly string[],
  {
    file = path.join(folder, `${++counter}.yaml`),
    running,
  }: { file?: string; running?: (kill: (signal: NodeJS.Signals) => void) => void } = {},
): Promise<Loaded> {
  writeFileSync(file, yaml);
  const summaryFile = `${file}.summary`;
  rmSync(summaryFile, { force: true });
  const args = ['load', '-c', file, '--summary', summaryFile, ...options];
  const summaryOf = () =>
    (existsSync(summaryFile) ? JSON.parse(readFileSync(summaryFile, 'utf8')) : undefined) as LoadSummary;
  if (running === undefined) {
    const { code, stderr } = await runCommand(args);
    return { code, stderr, summary: summaryOf() };
  }
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const limit = setTimeout(() => child.kill('SIGKILL'), 110_000);
  running((signal) => child.kill(signal));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(limit);
  return { code, stderr, summary: summaryOf() };
}

/* Parents and children, a junction, a row to a row, a circle that may be open, one that may not, one column tables, partitions. */
const TABLES = `CREATE TYPE mood AS ENUM ('fine', 'bad');
  CREATE TABLE city (id int PRIMARY KEY, name text NOT NULL UNIQUE);
  CREATE TABLE person (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, city int NOT NULL REFERENCES city, mood mood, boss bigint REFERENCES person,
    born date CHECK (born > '1900-01-01'), tags text[], doc jsonb, double_id bigint GENERATED ALWAYS AS (id * 2) STORED);
  CREATE TABLE passport (person bigint PRIMARY KEY REFERENCES person, number varchar(12) UNIQUE);
  CREATE TABLE likes (person bigint REFERENCES person, city int REFERENCES city, PRIMARY KEY (person, city));
  CREATE TABLE team (id uuid PRIMARY KEY, captain bigint, motto text);
  CREATE TABLE player (id bigint PRIMARY KEY, team uuid NOT NULL REFERENCES team, shirt smallint NOT NULL);
  ALTER TABLE team ADD FOREIGN KEY (captain) REFERENCES player;
  CREATE TABLE hen (id int PRIMARY KEY, egg int NOT NULL); CREATE TABLE egg (id int PRIMARY KEY, hen int NOT NULL REFERENCES hen);
  ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg DEFERRABLE INITIALLY DEFERRED;
  CREATE TABLE made (id serial PRIMARY KEY, at timestamptz); CREATE TABLE of_made (made int REFERENCES made, v "char");
  CREATE TABLE sales (day date, id bigint, amount numeric(8,2), PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
  CREATE TABLE sales_old PARTITION OF sales FOR VALUES FROM (MINVALUE) TO ('2015-01-01'); CREATE TABLE sales_new PARTITION OF sales DEFAULT;
  CREATE TABLE single (id int PRIMARY KEY CHECK (id = 1), v text);
  CREATE TABLE keyless (a text, b bytea, c text);`;

const SETTINGS = 'random_seed: 4\nnull_ratio: 0.1';

async function rowsOf(database: Database, summary: LoadSummary): Promise<Record<string, string>> {
  for (const [table, { rows_expected: rows }] of Object.entries(summary.tables))
    expect(rows, table).toBe(await count(database, table));
  return await contentHash(database, Object.keys(summary.tables));
}

describe('load', () => {
  it('fills every kind of table, the same for any number of workers', async () => {
    const hashes: Record<string, string>[] = [];
    for (const workers of [1, 3]) {
      const database = await createDatabase(TABLES);
      const { code, summary, stderr } = await load(configFor(database, `${SETTINGS}\nworkers: ${workers}`), [
        '--rows',
        '3000',
      ]);
      expect(stderr).toContain('public.single: has room for only 1 of 3000 rows');
      expect(summary.exit).toEqual({ code: 0, reason: 'every table has 3000 rows, or as many as it has room for' });
      expect(code).toBe(0);
      hashes.push(await rowsOf(database, summary));
      for (const [table, { rows_expected: rows, refused }] of Object.entries(summary.tables)) {
        expect(refused, table).toBe(0);
        expect(rows, table).toBe(table === 'public.single' ? 1 : 3000);
      }
      const { rows } = await database.client.query<Record<string, number>>(`SELECT
        (SELECT count(boss)::int FROM person) AS bosses, (SELECT count(captain)::int FROM team) AS captains,
        (SELECT count(DISTINCT captain)::int FROM team) AS different, (SELECT count(DISTINCT city)::int FROM person) AS cities,
        (SELECT nextval(pg_get_serial_sequence('person', 'id')) - max(id) FROM person)::int AS next`);
      expect(rows[0]!['bosses']).toBeGreaterThan(2500);
      expect(rows[0]!['captains']).toBeGreaterThan(2600);
      expect(rows[0]!['different']).toBeGreaterThan(1500);
      expect(rows[0]!['cities']).toBeGreaterThan(1500);
      expect(rows[0]!['next']).toBeGreaterThan(0);
      await database.drop();
    }
    expect(hashes[1]).toEqual(hashes[0]);
  });

  it('fills up what stands there, and a run goes on from it', async () => {
    const database = await createDatabase(TABLES);
    const settings = configFor(database, `${SETTINGS}\nexisting_rows: all`);
    expect((await load(settings, ['--rows', '500'])).code).toBe(0);
    const { code, summary } = await load(settings, ['--rows', '1200']);
    expect(code).toBe(0);
    expect(summary.tables['public.person']).toMatchObject({ rows: 700, rows_at_start: 500, rows_expected: 1200 });
    await rowsOf(database, summary);
    const again = await load(settings, ['--rows', '1200']);
    expect(again.summary.rows).toBe(0);
    const run = await runCli(`${configFor(database, `${SETTINGS}\nexisting_rows: all\nnum_iterations: 1000`)}`);
    expect(run.code).toBe(0);
    expect(run.summary.totals['rejected']).toBe(0);
    for (const [table, { rows_expected: rows }] of Object.entries(run.summary.tables))
      expect(rows, table).toBe(await count(database, table));
    await database.drop();
  });

  /* What every interrupted load must leave behind as well. */
  let uninterrupted: Promise<Record<string, string>> | undefined;
  const whole = (yaml: (database: Database) => string) => {
    uninterrupted ??= createDatabase(TABLES).then(async (database) => {
      const rows = await rowsOf(database, (await load(yaml(database), ['--rows', '4000'])).summary);
      await database.drop();
      return rows;
    });
    return uninterrupted;
  };

  it.each(['SIGKILL', 'SIGINT'] as const)(
    'goes on after %s, and leaves the rows of a load that was not interrupted',
    async (signal) => {
      const yaml = (database: Database) => configFor(database, `${SETTINGS}\nconnections: 3`);
      const database = await createDatabase(TABLES);
      const file = path.join(folder, `${++counter}.yaml`);
      for (const table of signal === 'SIGKILL' ? ['city', 'likes'] : ['likes']) {
        const stopped = await load(yaml(database), ['--rows', '4000'], {
          file,
          running: (kill) => void whenFilled(database, table, 500).then(() => kill(signal)),
        });
        expect(existsSync(`${file}.load`)).toBe(true);
        if (signal === 'SIGINT') {
          expect(stopped.code).toBe(0);
          expect(stopped.summary.exit.reason).toContain('run the same command again to continue');
        } else expect(stopped.code).toBeNull();
      }
      const other = await load(yaml(database), ['--rows', '30000'], { file });
      expect(other.code).toBe(1);
      expect(other.stderr).toContain('with --rows 4000; repeat that command');
      const last = await load(yaml(database), ['--rows', '4000'], { file });
      expect(last.stderr).toContain('continuing the interrupted load');
      expect(last.code).toBe(0);
      expect(existsSync(`${file}.load`)).toBe(false);
      expect(await rowsOf(database, last.summary)).toEqual(await whole(yaml));
      await database.drop();
    },
  );

  it('commits each batch once when connections are cut', async () => {
    const database = await createDatabase(TABLES);
    const yaml = (at: Database) => configFor(at, `${SETTINGS}\nconnections: 3`);
    const run = load(yaml(database), ['--rows', '4000']);
    await cutConnections(database, run, { cuts: 6, everyMs: 80 });
    const { code, summary } = await run;
    expect(code).toBe(0);
    expect(await rowsOf(database, summary)).toEqual(await whole(yaml));
    await database.drop();
  });

  it('leaves out what is refused, fills up with others, and sets aside a table that takes nothing', async () => {
    const database =
      await createDatabase(`CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (a int NOT NULL REFERENCES a, v text);
      CREATE TABLE never (id int PRIMARY KEY);
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_TABLE_NAME = 'never' OR NEW.id % 1000 = 7 THEN RAISE EXCEPTION 'not this one' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION refuse();
      CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON never DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();`);
    const thresholds = 'thresholds: ["coverage >= 1", "coverage > 0.6", "response_seconds p99 < 1"]';
    const { code, summary, stderr } = await load(configFor(database, `${SETTINGS}\nrehearse: false`, thresholds), [
      '--rows',
      '10000',
    ]);
    expect(code).toBe(2);
    expect(summary.coverage).toMatchObject({ tables: 3, complete: 2, left_out: [{ tables: ['public.never'] }] });
    // A load has no response times.
    expect(summary.thresholds.map(({ condition, passed }) => [condition, passed])).toEqual([
      ['coverage >= 1', false],
      ['coverage > 0.6', true],
    ]);
    expect(summary.exit.reason).toMatch(/^these tables are not full: public\.never \(0 of \d+ rows\)$/);
    expect(stderr).toContain('public.never: no more rows are loaded into it: not this one (23514)');
    expect(summary.tables['public.a']).toMatchObject({ rows: 10_000, rows_expected: 10_000 });
    expect(summary.tables['public.a']!.refused).toBeGreaterThanOrEqual(10);
    expect(summary.tables['public.b']).toMatchObject({ rows: 10_000, refused: 0 });
    await rowsOf(database, summary);
    await database.drop();
  });

  it('survives a refusal while rows wait for a slow network', async () => {
    const database = await createDatabase(`CREATE TABLE a (id int PRIMARY KEY, v text, w text);
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.id = 17000 THEN RAISE EXCEPTION 'not this one' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION refuse();`);
    // Ten megabytes a second: most of a batch is still to be sent when its first rows are refused.
    const slow = createServer((near) => {
      const far = dial(database.port, '127.0.0.1');
      near.on('data', (bytes) => {
        far.write(bytes);
        near.pause();
        setTimeout(() => near.resume(), bytes.length / 10_000);
      });
      far.on('data', (bytes) => near.write(bytes));
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const)
        socket.on('error', () => other.destroy()).on('close', () => other.destroy());
    });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    const yaml = configFor(database, `${SETTINGS}\nconnections: 1\nrehearse: false\nmin_col_size_bytes: 400`);
    const { port } = slow.address() as AddressInfo;
    const { code, summary, stderr } = await load(yaml.replace(`port: ${database.port}`, `port: ${port}`), [
      '--rows',
      '30000',
    ]);
    expect(stderr).not.toContain('ended');
    expect(code).toBe(0);
    expect(summary.tables['public.a']).toMatchObject({ rows: 30_000, rows_expected: 30_000, refused: 1 });
    slow.close();
    await rowsOf(database, summary);
    await database.drop();
  });

  it('goes on rightly after a COMMIT that was refused, and not at all where the rows are gone', async () => {
    const database = await createDatabase(`CREATE TABLE a (id int PRIMARY KEY, v text);
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.id % 3000 = 700 THEN RAISE EXCEPTION 'not this one' USING ERRCODE = '23514'; END IF; RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();`);
    const yaml = configFor(database, `${SETTINGS}\nconnections: 1\nrehearse: false`);
    const file = path.join(folder, `${++counter}.yaml`);
    const options = ['--rows', '30000'];
    const interrupted = {
      file,
      running: (kill: (signal: NodeJS.Signals) => void) =>
        void whenFilled(database, 'a', 1600).then(() => kill('SIGINT')),
    };
    expect((await load(yaml, options, interrupted)).summary.exit.reason).toContain(
      'run the same command again to continue',
    );
    const { code, summary } = await load(yaml, options, { file });
    expect(code).toBe(0);
    expect(summary.tables['public.a']).toMatchObject({ rows: 30_000, rows_expected: 30_000 });
    expect(await count(database, 'a')).toBe(30_000);
    await database.client.query('TRUNCATE a');
    await load(yaml, options, interrupted);
    await database.client.query('TRUNCATE a');
    const gone = await load(yaml, options, { file });
    expect(gone.code).toBe(1);
    expect(gone.stderr).toMatch(/public\.a has 0 rows, but the interrupted load left \d+/);
    await database.drop();
  });

  it('takes no batch for committed whose transaction the server has lost in a crash', async () => {
    const database = await createDatabase(TABLES);
    const yaml = (at: Database) => configFor(at, `${SETTINGS}\nconnections: 3`);
    const file = path.join(folder, `${++counter}.yaml`);
    await load(yaml(database), ['--rows', '4000'], {
      file,
      running: (kill) => void whenFilled(database, 'likes', 500).then(() => kill('SIGINT')),
    });
    // What the journal of a load looks like whose last batches the server has lost: their ids are another's, or nobody's yet.
    const { rows } = await database.client.query<{ id: string }>(
      'INSERT INTO city VALUES (-1, $$theirs$$) RETURNING pg_current_xact_id()::text AS id',
    );
    await database.client.query('DELETE FROM city WHERE id = -1');
    const lines = readFileSync(`${file}.load`, 'utf8').trimEnd().split('\n');
    for (const [lane, xid] of [
      [0, rows[0]!.id],
      [1, String(BigInt(rows[0]!.id) + 1_000_000n)],
    ] as const) {
      const last = JSON.parse(lines.findLast((line) => line.startsWith(`{"lane":${lane},`))!) as Entry;
      const trace = last.trace === null ? null : { ...last.trace, xmins: [xid] };
      lines.push(JSON.stringify({ ...last, xid, trace }));
    }
    lines[0] = JSON.stringify({ ...(JSON.parse(lines[0]!) as object), crashMark: 'before a crash' });
    writeFileSync(`${file}.load`, `${lines.join('\n')}\n`);
    const { code, summary } = await load(yaml(database), ['--rows', '4000'], { file });
    expect(code).toBe(0);
    expect(await rowsOf(database, summary)).toEqual(await whole(yaml));
    await database.drop();
  });

  it('loads again what the server had acknowledged and lost in a crash', async () => {
    const cluster = await startCluster({
      settings: ['synchronous_commit = off', 'wal_writer_delay = 10s', 'wal_writer_flush_after = 1GB'],
    });
    try {
      const hashes: Record<string, string>[] = [];
      const lost: boolean[] = [];
      for (const crashes of [0, 2]) {
        const database = await createDatabase(TABLES, cluster.settings.port);
        // The tables themselves are not to be lost.
        await database.client.query('CHECKPOINT');
        const run = load(configFor(database, `${SETTINGS}\nconnections: 3\nrehearse: false`), ['--rows', '15000']);
        let isOver = false;
        void run.then(() => {
          isOver = true;
        });
        await database.client.end();
        for (let crash = 0; crash < crashes && !isOver; crash++) {
          const isLoading = () => sessionsOf(cluster.settings.port, database.name).catch(() => 0);
          await until(isLoading, (sessions) => sessions > 0 || isOver);
          if (crash > 0) await new Promise((resolve) => setTimeout(resolve, 250));
          else
            await until(
              () => rowsIn(cluster.settings.port, database.name, 'city'),
              (rows) => rows > 0 || isOver,
            );
          // A backend that is killed takes all of the server's sessions along, and what lies in its buffers.
          const client = await reconnected(cluster.settings.port, database.name);
          const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
          process.kill(rows[0]!.pid, 'SIGKILL');
          await client.end().catch(() => undefined);
        }
        const { code, summary, stderr } = await run;
        lost.push(/[1-9]\d* of \d+ batches are loaded again/.test(stderr));
        expect({ code, stderr }).toMatchObject({ code: 0 });
        const client = await reconnected(cluster.settings.port, database.name);
        hashes.push(await rowsOf({ ...database, client }, summary));
        await client.end();
      }
      expect(hashes[1]).toEqual(hashes[0]);
      expect(lost).toEqual([false, true]);
    } finally {
      await cluster.stop();
    }
  });

  it('counts what a trigger keeps back, takes each parent of a unique key once, and makes rows of nothing', async () => {
    const database = await createDatabase(`CREATE TABLE a (id int PRIMARY KEY, v text);
      CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id % 10 = 7 THEN RETURN NULL; END IF; RETURN NEW; END';
      CREATE TRIGGER keep BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION keep();
      CREATE TABLE dept (id int PRIMARY KEY, head int UNIQUE);
      CREATE TABLE emp (id int PRIMARY KEY, dept int NOT NULL REFERENCES dept);
      ALTER TABLE dept ADD FOREIGN KEY (head) REFERENCES emp;
      CREATE TABLE made (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY);`);
    const settings = `${SETTINGS}\nrehearse: false\nidentity_values: database`;
    const { code, summary } = await load(configFor(database, settings), ['--rows', '1000']);
    expect(code).toBe(0);
    for (const table of ['a', 'dept', 'emp', 'made']) {
      expect(summary.tables[`public.${table}`], table).toMatchObject({ rows: 1000, refused: 0 });
      expect(await count(database, table)).toBe(1000);
    }
    const { rows } = await database.client.query<{ heads: number }>('SELECT count(head)::int AS heads FROM dept');
    expect(rows[0]!.heads).toBeGreaterThan(800);
    await database.drop();
  });

  it('fills by INSERT what row security keeps from COPY', async () => {
    const role = `filler_${process.pid}`;
    const database = await createDatabase(`CREATE ROLE ${role} LOGIN;
      CREATE TABLE tenant (id int PRIMARY KEY, v text); CREATE TABLE open (id int PRIMARY KEY, tenant int NOT NULL REFERENCES tenant);
      ALTER TABLE tenant ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON tenant USING (true) WITH CHECK (true);
      GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`);
    try {
      const yaml = configFor(database, SETTINGS).replace('user: postgres', `user: ${role}`);
      const { code, summary } = await load(yaml, ['--rows', '3000']);
      expect(code).toBe(0);
      for (const table of ['tenant', 'open']) {
        expect(summary.tables[`public.${table}`]).toMatchObject({ rows: 3000, rows_expected: 3000, refused: 0 });
        expect(await count(database, table)).toBe(3000);
      }
    } finally {
      await database.client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      await database.drop();
    }
  });

  it('escapes whatever a value holds', async () => {
    const database = await createDatabase('CREATE TABLE a (id int PRIMARY KEY, v text, b bytea, c text, d text[])');
    const values = ['a\tb', 'a\nb', 'a\\b', '\\N', '\\.', 'a\r\nb', '', '"', "'", '\u{1f600}'];
    const overrides = `column_overrides: { a: { v: { type: choice, values: ${JSON.stringify(values)} } } }`;
    const { code, summary } = await load(configFor(database, `${SETTINGS}\n${overrides}\nedge_ratio: 0.5`), [
      '--rows',
      '4000',
    ]);
    expect(code).toBe(0);
    await rowsOf(database, summary);
    const { rows } = await database.client.query<{ v: string }>('SELECT DISTINCT v FROM a WHERE v IS NOT NULL');
    expect(rows.map(({ v }) => v).sort()).toEqual([...values].sort());
    await database.drop();
  });

  it('says what is wrong before the first row', async () => {
    const database = await createDatabase('CREATE TABLE a (id int PRIMARY KEY)');
    expect((await load(configFor(database, SETTINGS), ['--rows', '0'])).code).toBe(1);
    expect((await load(configFor(database, SETTINGS), [])).stderr).toContain('--rows');
    const unwritable = await load(configFor(database, SETTINGS), ['--rows', '5', '--journal', '/nowhere/at/all']);
    expect(unwritable.code).toBe(1);
    expect(unwritable.stderr).toContain('cannot keep its journal there');
    expect(await count(database, 'a')).toBe(0);
    await database.drop();
  });
});

/** How many connections of lanes a database has. The server may end this one, too: it does not notice at once that a backend was killed. */
async function sessionsOf(port: number, name: string): Promise<number> {
  const client = await connectTo(port, name);
  try {
    const { rowCount } = await client.query(
      "SELECT FROM pg_stat_activity WHERE application_name ~ '^eventgen/[^/]+/[0-9]+$' AND datname = current_database()",
    );
    return rowCount!;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** How many rows others see in a table. */
async function rowsIn(port: number, name: string, table: string): Promise<number> {
  const client = await connectTo(port, name);
  try {
    const { rows } = await client.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
    return rows[0]!.n;
  } finally {
    await client.end();
  }
}

/** Connects to a server that may be about to come back. */
function reconnected(port: number, name: string): Promise<pg.Client> {
  return until(
    () => connectTo(port, name).catch(() => null),
    (client) => client !== null,
  ) as Promise<pg.Client>;
}

/** Asks again and again until the answer will do. */
async function until<Answer>(ask: () => Promise<Answer>, isEnough: (answer: Answer) => boolean): Promise<Answer> {
  for (let tries = 0; tries < 500; tries++) {
    const answer = await ask();
    if (isEnough(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('no answer that will do');
}

/** Resolves when a table holds so many rows. */
async function whenFilled(database: Database, table: string, rows: number): Promise<void> {
  for (let attempt = 0; attempt < 2000; attempt++) {
    if ((await count(database, table)) >= rows) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it('can be watched while it runs, and writes a report', async () => {
  const database = await createDatabase('CREATE TABLE wide (id int PRIMARY KEY, a text, b text, c jsonb, d uuid)');
  const report = path.join(folder, 'load.html');
  const file = path.join(folder, 'watched.yaml');
  writeFileSync(file, configFor(database, SETTINGS));
  const child = spawn(
    process.execPath,
    [
      CLI,
      'load',
      '-c',
      file,
      '--rows',
      '150000',
      '--report',
      report,
      '--set',
      'metrics.enabled=true',
      '--metrics-port',
      '0',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  let stderr = '';
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  child.stdout.resume();
  let seen = { rows: 0, events: 0, phase: '' };
  for (let tries = 0; tries < 400 && seen.rows === 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const address = /live page on (\S+)\//.exec(stderr)?.[1];
    if (address === undefined) continue;
    const ask = async (at: string) => await (await fetch(`${address}${at}`)).text();
    const metrics = await ask('/metrics').catch(() => '');
    const rows = Number(
      /^eventgen_rows_total\{operation="insert",table="public\.wide".*\} (\d+)$/m.exec(metrics)?.[1] ?? 0,
    );
    if (rows === 0) continue;
    const { run, status } = JSON.parse(await ask('/state')) as PageData;
    expect(run?.command).toBe('load');
    seen = { rows, events: status.tables[0]!.insert, phase: status.phase };
  }
  expect(seen.rows).toBeGreaterThan(0);
  expect(seen.events).toBeGreaterThan(0);
  expect(seen.phase).toBe('loading');
  expect(await ended).toBe(0);
  const html = readFileSync(report, 'utf8');
  expect(html).toContain('"command":"load"');
  expect(html).toContain('"inserted":');
  expect(html).toContain('"exit":{"code":0,"reason":"every table has 150000 rows');
  await database.drop();
});
