import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContentsOptions, verifyContents } from '../../src/commands/verify/contents.js';
import type { Verdict } from '../../src/proof/verdict.js';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
import { startSubscriber } from '../../src/server/replica.js';
import { connectTo, runCommand, startCli } from '../server/database.js';
import { change, SCHEMA } from './changes.js';

let cluster: Cluster;
let admin: pg.Client;

beforeAll(async () => {
  cluster = await startCluster();
  admin = await connectTo(cluster.settings.port, 'postgres');
  await admin.query('CREATE DATABASE source');
  const client = await connectTo(cluster.settings.port, 'source');
  await client.query(`CREATE EXTENSION citext; ${SCHEMA}
    CREATE TABLE shop.sly (id integer PRIMARY KEY, c citext, p char(8), n numeric, z double precision, i interval, j json, t tsvector, m money, b bit(4), x xml, pt point);
    CREATE TABLE shop.rates (rate numeric PRIMARY KEY, v text); INSERT INTO shop.rates VALUES (1.50, 'a'), (2.5, 'b'), (3, 'c');
    CREATE TABLE shop.prices (price numeric, v text); INSERT INTO shop.prices VALUES (1.50, 'a'), (1.50, 'a'), (2.5, 'b'), (3.5, 'c');
    INSERT INTO shop.sly SELECT g, 'Ab', 'x', 1.50, 0, '1 mon', '{"a": 1}', 'a:1', 3, B'1010', '<a/>', '(1,2)' FROM generate_series(1, 3000) g;`);
  await change(client, 5n, 1000);
  await client.end();
});

afterAll(async () => {
  await admin?.end();
  await cluster?.stop();
});

function verdictOf(
  target: string,
  more: Partial<ContentsOptions> = {},
  port = cluster.settings.port,
): Promise<Verdict> {
  const url = (name: string, at: number) => `postgresql://postgres@127.0.0.1:${at}/${name}`;
  const scope = {
    schemas: [],
    tables: [],
    excluded: [],
    renamed: new Map<string, string>(),
    columns: new Map<string, string[]>(),
  };
  return verifyContents(
    {
      source: url('source', cluster.settings.port),
      target: url(target, port),
      scope,
      rate: 0,
      rechecks: 3,
      isStrict: false,
      resumeFile: undefined,
      step: () => undefined,
      ...more,
    },
    {},
  );
}

/** A copy of the source, changed by some SQL. */
async function copy(sql: string): Promise<string> {
  await admin.query('DROP DATABASE IF EXISTS copy');
  await admin.query('CREATE DATABASE copy TEMPLATE source');
  const client = await connectTo(cluster.settings.port, 'copy');
  await client.query(sql);
  await client.end();
  return 'copy';
}

/** What a target may have wrong: the SQL that does it, and the difference that must be told. */
const SPOILED: readonly (readonly [name: string, sql: string, found: string, key: string, value?: string])[] = [
  ['a row missing', 'DELETE FROM shop.items WHERE id = 1010', 'missing', '{"id":"1010"}'],
  ['a row too many', "INSERT INTO shop.orders VALUES ('us', 77, 1)", 'extra', '{"region":"us","id":"77"}'],
  [
    'a row of a table without a key doubled',
    "INSERT INTO shop.log SELECT * FROM shop.log WHERE line = 'line 0' LIMIT 1",
    'extra',
    '{"at":"2025-01-01 00:00:00+00","line":"line 0"}',
  ],
  [
    'a row of a table without a key missing',
    "DELETE FROM shop.log WHERE ctid = (SELECT ctid FROM shop.log WHERE line = 'line 1' LIMIT 1)",
    'missing',
    '{"at":"2025-01-01 00:00:00+00","line":"line 1"}',
  ],
  ['a truncate ignored', 'INSERT INTO shop.basket VALUES (5, 5)', 'extra', '{"id":"5"}'],
  [
    'a row in another partition',
    "DELETE FROM shop.orders WHERE id = 1011; INSERT INTO shop.orders VALUES ('uk', 1011, -1)",
    'extra',
    '{"region":"uk","id":"1011"}',
  ],
  [
    'a row in another schema',
    'INSERT INTO other.items SELECT * FROM shop.items WHERE id = 1003 ON CONFLICT (id) DO UPDATE SET token = excluded.token, amount = -1',
    'different',
    '{"id":"1003"}',
  ],
  ['the case of a citext', "UPDATE shop.sly SET c = 'aB' WHERE id = 17", 'different', '{"id":"17"}', 'other'],
  ['a month made 30 days', "UPDATE shop.sly SET i = '30 days' WHERE id = 18", 'different', '{"id":"18"}', 'other'],
  ['a negative zero', "UPDATE shop.sly SET z = '-0' WHERE id = 19", 'different', '{"id":"19"}', 'other'],
  ['a numeric rounded', 'UPDATE shop.sly SET n = 1.5000001 WHERE id = 20', 'different', '{"id":"20"}', 'rounded'],
  ['a member of a json', `UPDATE shop.sly SET j = '{"a": 2}' WHERE id = 21`, 'different', '{"id":"21"}', 'other'],
  ['a lexeme', "UPDATE shop.sly SET t = 'b:1' WHERE id = 22", 'different', '{"id":"22"}', 'other'],
  ['a price', 'UPDATE shop.sly SET m = 4 WHERE id = 23', 'different', '{"id":"23"}', 'other'],
  ['a bit', "UPDATE shop.sly SET b = B'1011' WHERE id = 24", 'different', '{"id":"24"}', 'other'],
  ['a point', "UPDATE shop.sly SET pt = '(2,1)' WHERE id = 25", 'different', '{"id":"25"}', 'other'],
  ['a text made NULL', 'UPDATE shop.sly SET c = NULL WHERE id = 26', 'different', '{"id":"26"}', 'null'],
  ['a document', "UPDATE shop.sly SET x = '<b/>' WHERE id = 27", 'different', '{"id":"27"}', 'other'],
];

describe('contents of two databases', () => {
  it('are equal where they are, on one server and by a subscription', async () => {
    const equal = await verdictOf(await copy('SELECT'));
    expect(equal.verdict).toBe('equal');
    expect(equal.headline).toMatch(/^Equal: 10 tables hold the same values, in \d+ rows\.$/);
    expect(equal.tables['shop.sly']).toMatchObject({ source: 3000, target: 3000, missing: 0 });
  });

  it('differ where one has been spoiled, and say in what', async () => {
    const { differences, verdict, tables } = await verdictOf(await copy(SPOILED.map(([, sql]) => sql).join(';')));
    expect(verdict).toBe('different');
    for (const [name, , found, key, value] of SPOILED) {
      const told = differences.find((each) => each.class === found && each.key === key);
      expect(told, name).toBeDefined();
      if (value !== undefined)
        expect(
          told!.columns.map((column) => column.class),
          name,
        ).toEqual([value]);
    }
    // The row in another partition is missing where it was.
    expect(differences).toHaveLength(SPOILED.length + 1);
    expect(tables['shop.sly']).toMatchObject({ missing: 0, extra: 0, different: 11 });
  });

  it('tell the same value in other words from another value', async () => {
    const sql = `ALTER TABLE shop.sly ALTER n TYPE numeric(10,4); UPDATE shop.sly SET j = '{ "a":1 }' WHERE id < 5; UPDATE shop.sly SET n = 7 WHERE id = 9`;
    const target = await copy(sql);
    const verdict = await verdictOf(target);
    expect(verdict.tables['shop.sly']).toMatchObject({ different: 1, representation: 2999 });
    expect(verdict.differences).toHaveLength(1);
    const columns = [{ column: 'n', class: 'other', source: '1.50', target: '7.0000' }];
    expect(verdict.differences[0]).toMatchObject({ key: '{"id":"9"}', columns });
  });

  it('know a key and a row without one in other words', async () => {
    const target =
      await copy(`ALTER TABLE shop.rates ALTER rate TYPE numeric(8,4); ALTER TABLE shop.prices ALTER price TYPE numeric(8,4);
      UPDATE shop.rates SET v = 'other' WHERE rate = 2.5; DELETE FROM shop.prices WHERE price = 3.5`);
    const verdict = await verdictOf(target);
    expect(verdict.tables['shop.rates']).toMatchObject({ different: 1, missing: 0, extra: 0, representation: 2 });
    expect(verdict.tables['shop.prices']).toMatchObject({ different: 0, missing: 1, extra: 0, representation: 3 });
    expect(verdict.differences).toHaveLength(2);
  });

  it('are compared under other names, and without some columns', async () => {
    const target = await copy(
      'ALTER SCHEMA shop RENAME TO store; ALTER TABLE store.sly DROP COLUMN x; UPDATE store.sly SET c = NULL WHERE id = 1',
    );
    const renamed = new Map([['shop', 'store']]);
    const scopeOf = (compared: string[]) => ({
      ...{ schemas: ['shop'], tables: [], excluded: ['shop.log'], renamed },
      columns: new Map([['shop.sly', compared]]),
    });
    const verdict = await verdictOf(target, { scope: scopeOf(['id', 'p', 'n']) });
    expect(verdict.verdict).toBe('equal');
    expect(Object.keys(verdict.tables)).not.toContain('shop.log');
    // A column that nobody can compare is no proof that it is equal.
    const lacking = await verdictOf(target, { scope: scopeOf(['id', 'p', 'n', 'x']) });
    expect(lacking.verdict).toBe('undecided');
    expect(lacking.headline).toContain('the target does not have shop.sly.x (--columns chooses what is compared)');
    expect(verdict.not_compared).toContain('shop.sly.c: excluded by --columns');
  });

  it('name a table that the target does not have, and one that nobody has', async () => {
    const target = await copy('DROP TABLE shop.visits');
    const verdict = await verdictOf(target);
    expect(verdict.differences).toMatchObject([{ class: 'missing table', table: 'shop.visits' }]);
    const scope = { schemas: [], tables: ['shop.nothing'], excluded: [], renamed: new Map(), columns: new Map() };
    await expect(verdictOf(target, { scope })).rejects.toThrow(/has no schema, table or column shop\.nothing/);
  });

  it('are looked at again while a subscriber catches up, and cannot be decided while rows go on changing', async () => {
    const source = await connectTo(cluster.settings.port, 'source');
    const onSource = { ...cluster, settings: { ...cluster.settings, database: 'source' } };
    const subscriber = await startSubscriber(onSource, async (client) => {
      await client.query(`CREATE EXTENSION citext; ${SCHEMA}
        CREATE TABLE shop.rates (rate numeric PRIMARY KEY, v text); CREATE TABLE shop.prices (price numeric, v text);
        CREATE TABLE shop.sly (id integer PRIMARY KEY, c citext, p char(8), n numeric, z double precision, i interval, j json, t tsvector, m money, b bit(4), x xml, pt point)`);
    });
    try {
      await source.query("UPDATE shop.sly SET c = c || 'x'");
      const scope = { schemas: [], tables: ['shop.sly'], excluded: [], renamed: new Map(), columns: new Map() };
      const verdict = await verdictOf('postgres', { scope, rechecks: 50 }, subscriber.settings.port);
      expect(verdict.headline).toBe('Equal: 1 table holds the same values, in 3000 rows.');
    } finally {
      await source.end();
      await subscriber.stop();
    }
  });

  it('leave both databases as they are, whoever asks', async () => {
    const url = `postgresql://postgres@127.0.0.1:${cluster.settings.port}/source`;
    const { code, stdout } = await runCommand(['verify', '--source', url, '--target', url, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: 'equal', difference_count: 0 });
    const { code: refused, stderr } = await runCommand(['verify', '--source', url]);
    expect([refused, stderr]).toEqual([1, expect.stringContaining('expected one of: --source URL --target URL')]);
  });
});

describe('rounds of verification in a run', () => {
  const REPLICAS = `replication:
  targets:
    - { name: standby, kind: physical, connection: { embedded: true } }
    - { name: subscriber, kind: logical, connection: { embedded: true } }
`;
  const run = (sections: string, options: readonly string[] = []) =>
    startCli(
      `connection: { embedded: true }\ngenerator: { random_seed: 1, num_iterations: -1, manual_table_list: [eg_users, eg_orders] }\nmetrics: { enabled: false }\n${REPLICAS}${sections}`,
      options,
    );

  it('find every target equal, and then a row that was written on one of them', async () => {
    const spoiled = run('traffic: { duration: 60s }\nverify: { every: 2s, stop_on_difference: true }');
    await Promise.all(['standby', 'subscriber'].map((target) => spoiled.saw(`verify ${target}: Equal`)));
    const port = Number(/replica subscriber: postgres@127\.0\.0\.1:(\d+)/.exec(spoiled.stderr())![1]);
    const subscriber = await connectTo(port, 'postgres');
    // One that the run does not know, so that nothing writes it anew.
    await subscriber.query("INSERT INTO eg_orders (id, code) VALUES (-1, 'nobody wrote this')");
    await subscriber.end();
    const { code, stdout, summary } = await spoiled.ended;
    expect(code, spoiled.stderr()).toBe(4);
    expect(summary.elapsed_seconds).toBeLessThan(40);
    expect(summary.exit.reason).toMatch(/^verification of subscriber: Different: 1 extra row/);
    const told = new Set(summary.verification!.map(({ target, verdict }) => `${target} ${verdict}`));
    expect(told).toEqual(new Set(['standby equal', 'subscriber equal', 'subscriber different']));
    expect(stdout).toMatch(/verification: \d+ comparisons, \d+ equal, \d+ different/);
  });

  it('name the key that is wrong', async () => {
    const wrong = await run('verify: { every: 2s, targets: [stanby] }').ended;
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringContaining('"stanby" is not the name of a server in replication.targets (did you mean "standby"?)'),
    ]);
  });
});
