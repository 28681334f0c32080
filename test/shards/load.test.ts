import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { LoadSummary } from '../../src/report/load.js';
import {
  configFor,
  contentHash,
  count,
  createDatabase,
  type Database,
  runCommand,
  startCli,
} from '../server/database.js';

const folder = mkdtempSync(path.join(tmpdir(), 'shards-of-load-'));
const databases: Database[] = [];
afterAll(async () => {
  for (const database of databases) await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

/* Parents and children, a key that the server makes, a circle, a key that is closed later, a table that refuses some rows. */
const TABLES = `CREATE TABLE city (id int PRIMARY KEY, name text NOT NULL UNIQUE);
  CREATE TABLE person (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, city int NOT NULL REFERENCES city, boss bigint REFERENCES person);
  CREATE TABLE team (id uuid PRIMARY KEY, captain bigint, motto text);
  CREATE TABLE player (id bigint PRIMARY KEY, team uuid NOT NULL REFERENCES team);
  ALTER TABLE team ADD FOREIGN KEY (captain) REFERENCES player;
  CREATE TABLE hen (id int PRIMARY KEY, egg int NOT NULL); CREATE TABLE egg (id int PRIMARY KEY, hen int NOT NULL REFERENCES hen);
  ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg DEFERRABLE INITIALLY DEFERRED;
  CREATE TABLE picky (id int PRIMARY KEY, v text);
  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.id % 1000 = 7 THEN RAISE EXCEPTION 'not this one' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$;
  CREATE TRIGGER refuse BEFORE INSERT ON picky FOR EACH ROW EXECUTE FUNCTION refuse();`;
const NAMES = ['city', 'person', 'team', 'player', 'hen', 'egg', 'picky'].map((name) => `public.${name}`);

async function filled(): Promise<{ database: Database; file: string }> {
  const database = await createDatabase(TABLES);
  databases.push(database);
  const file = path.join(folder, `${database.name}.yaml`);
  writeFileSync(file, configFor(database, 'random_seed: 5\nconnections: 5\nrehearse: false'));
  return { database, file };
}

/** Starts a shard of a load, or the whole for `of` 1. */
function start({ file }: { file: string }, rows: number, index: number, of: number, runId = 'filling') {
  const shard = of === 1 ? [] : ['--shard', `${index}/${of}`, '--run-id', runId, '--start-timeout', '30s'];
  const summary = path.join(folder, `${path.basename(file)}-${index}-${of}.json`);
  const yaml = readFileSync(file, 'utf8');
  return { ...startCli(yaml, [...shard, '--rows', String(rows), '--summary', summary], {}, ['load']), summary };
}

function readLoad(file: string): LoadSummary {
  return JSON.parse(readFileSync(file, 'utf8')) as LoadSummary;
}

describe('the shards of a load', () => {
  it('are one load: the same rows, and merged the same counts', async () => {
    const [one, three] = [await filled(), await filled()];
    const alone = start(one, 3000, 1, 1);
    expect(await alone.ended).toMatchObject({ code: 0 });
    const shards = [1, 2, 3].map((index) => start(three, 3000, index, 3));
    for (const { ended } of shards) expect(await ended).toMatchObject({ code: 0 });
    expect(await contentHash(three.database, NAMES)).toEqual(await contentHash(one.database, NAMES));
    const merged = path.join(folder, 'merged.json');
    const { code, stdout } = await runCommand(['merge', ...shards.map(({ summary }) => summary), '--summary', merged]);
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('every table has 3000 rows') as string,
    });
    const [whole, sum] = [readLoad(alone.summary), readLoad(merged)];
    expect(sum.tables).toEqual(whole.tables);
    expect(sum.errors).toEqual(whole.errors);
    expect(sum.exit).toEqual(whole.exit);
    expect(whole.tables['public.picky']!.refused).toBeGreaterThan(0);
    for (const [table, { rows_expected: rows }] of Object.entries(sum.tables))
      expect(rows, table).toBe(await count(three.database, table));

    const partly = await runCommand(['merge', ...shards.slice(1).map(({ summary }) => summary)]);
    expect(partly).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('incomplete: the summaries of shards 1 of 3') as string,
    });
    // Of another number of rows is another load.
    const other = await start(three, 4000, 1, 3).ended;
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('has finished') as string });
  });

  it('go on where they were when their process was killed or stopped', async () => {
    const [one, two] = [await filled(), await filled()];
    await start(one, 20_000, 1, 1).ended;
    const first = start(two, 20_000, 1, 2);
    for (const [signal, code, least] of [
      ['SIGKILL', null, 1],
      ['SIGTERM', 2, 8],
    ] as const) {
      const ended = start(two, 20_000, 2, 2);
      await noted(two.database, least);
      ended.kill(signal);
      expect((await ended.ended).code).toBe(code);
    }
    const last = start(two, 20_000, 2, 2);
    await last.saw('continues where its previous process stopped');
    expect((await last.ended).code).toBe(0);
    expect((await first.ended).code).toBe(0);
    expect(await contentHash(two.database, NAMES)).toEqual(await contentHash(one.database, NAMES));
    const url = `postgresql://postgres@127.0.0.1:${two.database.port}/${two.database.name}`;
    const merged = JSON.parse((await runCommand(['merge', '--database', url, '--json'])).stdout) as LoadSummary;
    expect(merged.exit.code).toBe(0);
    for (const [table, { rows_expected: rows }] of Object.entries(merged.tables))
      expect(rows, table).toBe(await count(two.database, table));
    // What the shards needed to go on is not kept.
    expect(await count(two.database, 'event_generator.run_log')).toBe(0);
  });

  it('refuse a journal file', async () => {
    const load = await filled();
    const { code, stderr } = await startCli(
      readFileSync(load.file, 'utf8'),
      ['--rows', '5', '--shard', '1/2', '--run-id', 'x', '--journal', 'y'],
      {},
      ['load'],
    ).ended;
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--journal: cannot be used with --shard') as string,
    });
  });
});

/** Resolves when shard 2 has committed so many batches. */
async function noted({ client }: Database, least: number): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const { rows } = await client
      .query<{ n: number }>('SELECT count(*)::int AS n FROM event_generator.run_log WHERE lane % 2 = 1')
      .catch(() => ({ rows: [{ n: 0 }] }));
    if (rows[0]!.n >= least) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('no batch was noted');
}
