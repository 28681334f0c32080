import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { configFor, count, databasesPerTest, runCli } from '../server/database.js';

const { demo, tables } = databasesPerTest();
const DEMO = 'manual_table_list: [eg_users, eg_orders]\nrandom_seed: 12345';

describe('what is wrong is said before the first write', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [
      'an unknown table',
      'manual_table_list: [eg_user]',
      /generator\.manual_table_list\.0: there is no table "eg_user" in schema "public" \(did you mean "eg_users"\?\)/,
    ],
    [
      'an unknown schema',
      'schema_name: publik',
      /there is no schema "publik" in database "t_\d+_\d+" \(did you mean "public"\?\)/,
    ],
    ['a view', 'manual_table_list: [v]', /"v" is a view, not a table/],
    ['an empty schema', 'schema_name: nothing', /schema "nothing" has no tables/],
    [
      'weights for an unknown table',
      'table_weights: { eg_userz: 2 }',
      /table_weights\.eg_userz: there is no table "eg_userz".*did you mean "eg_users"/,
    ],
    [
      'an override of an unknown column',
      'column_overrides: { eg_users: { emial: { type: null } } }',
      /has no column "emial" \(did you mean "email"\?\)/,
    ],
    ['a partition', 'manual_table_list: [part_1]', /"part_1" is a partition, not a table/],
    [
      'an override that the column cannot hold',
      'column_overrides: { eg_orders: { qty: { type: constant, value: abc } } }',
      /column_overrides\.eg_orders\.qty: the column has type integer, and the server rejects a value: invalid input syntax/,
    ],
    [
      'an unknown faker method',
      'column_overrides: { eg_users: { email: { type: faker, method: internet.emial } } }',
      /faker has no method "internet.emial"/,
    ],
  ];

  it.each(cases)('%s', async (_, yaml, expected) => {
    const database = await demo();
    await database.client.query(
      'CREATE VIEW v AS SELECT 1; CREATE SCHEMA nothing; CREATE TABLE part (id int) PARTITION BY LIST (id); CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1)',
    );
    const { code, stderr } = await runCli(configFor(database, yaml));
    expect(code).toBe(1);
    expect(stderr).toMatch(expected);
    expect(await count(database, 'eg_users')).toBe(1000);
  });

  it('an unreachable host, a wrong password, a missing database', async () => {
    const database = await demo();
    const at = (connection: string) =>
      runCli(
        `connection: { host: 127.0.0.1, port: ${database.port}, database: ${database.name}, user: postgres, ${connection} }\nmetrics: { enabled: false }\n`,
      );
    const unreachable = await runCli(
      'connection: { host: 127.0.0.1, port: 1, database: d, user: u, password: hunter2 }\ngenerator: { max_outage_seconds: 1 }\nmetrics: { enabled: false }\n',
    );
    expect(unreachable.code).toBe(3);
    expect(unreachable.stderr).toMatch(/waiting for the database, 1 s at most \(generator.max_outage_seconds\)/);
    expect(unreachable.stderr).toMatch(/connection to u@127\.0\.0\.1:1\/d: refused: no server listens there/);
    expect(unreachable.stderr + unreachable.stdout).not.toContain('hunter2');
    expect((await at('ssl: require')).stderr).toMatch(
      /set connection\.ssl: disable, or install a certificate on the server/,
    );
    const missing = await runCli(
      `connection: { host: 127.0.0.1, port: ${database.port}, database: nope, user: postgres }\nmetrics: { enabled: false }\n`,
    );
    expect(missing.code).toBe(1);
    expect(missing.stderr).toMatch(/database "nope" does not exist/);
  });

  it('a read-only database, and a missing privilege with its GRANT', async () => {
    const database = await demo();
    const role = `r_${database.name}`;
    await database.client.query(`CREATE ROLE ${role} LOGIN; GRANT SELECT, INSERT ON eg_users, eg_orders TO ${role}`);
    const as = (user: string) => configFor(database, DEMO).replace('user: postgres', `user: ${user}`);
    const denied = await runCli(as(role));
    expect(denied.code).toBe(1);
    expect(denied.stderr).toContain(
      `error: user "${role}": lacks privileges on public.eg_orders, public.eg_users; run:\n  GRANT UPDATE, DELETE ON "public"."eg_orders", "public"."eg_users" TO "${role}";\n`,
    );
    await database.client.query(`ALTER DATABASE ${database.name} SET default_transaction_read_only = on`);
    const readOnly = await runCli(as('postgres'));
    expect(readOnly.code).toBe(1);
    expect(readOnly.stderr).toMatch(/the server is read-only/);
    await database.client.query(
      `ALTER DATABASE ${database.name} RESET default_transaction_read_only; DROP OWNED BY ${role}; DROP ROLE ${role}`,
    );
  });

  it.each(['owned', 'system_rows'])('privileges on tables outside of the run, with %s rows', async (selection) => {
    const database = await tables(`CREATE SCHEMA other;
      CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
      CREATE TABLE hub (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent, note text);
      CREATE TABLE other."The Child" (id int PRIMARY KEY, hub int REFERENCES hub ON DELETE CASCADE)`);
    const role = `r_${database.name}`;
    await database.client.query(`CREATE ROLE ${role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON hub TO ${role}`);
    const settings = `random_seed: 1\nmanual_table_list: [hub]\nnum_iterations: 40\nrow_selection: ${selection}`;
    const config = configFor(database, settings).replace('user: postgres', `user: ${role}`);
    const denied = await runCli(config);
    expect(denied.code).toBe(1);
    // In a pipe, a line begins with the time of day.
    const [problem, ...grants] = denied.stderr
      .trim()
      .replace(/^\d\d:\d\d:\d\d /, '')
      .split('\n');
    expect(problem).toBe(
      `error: user "${role}": lacks privileges on public.parent, other."The Child" (public.parent to reference its rows, other."The Child" to see which rows of public.hub it references); run:`,
    );
    expect(grants.map((line) => line.trim()).sort()).toEqual(
      selection === 'owned'
        ? [
            `GRANT SELECT ON "public"."parent", "other"."The Child" TO "${role}";`,
            `GRANT USAGE ON SCHEMA "other" TO "${role}";`,
          ]
        : [
            `GRANT SELECT ON "other"."The Child" TO "${role}";`,
            `GRANT SELECT, UPDATE ON "public"."parent" TO "${role}";`,
            `GRANT USAGE ON SCHEMA "other" TO "${role}";`,
          ],
    );
    await database.client.query(grants.join('\n'));
    const { code, summary } = await runCli(config);
    expect(code).toBe(0);
    expect(summary.tables['public.hub']!.insert.rows).toBeGreaterThan(0);
    await database.client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });

  it('a metrics port that is taken', async () => {
    const database = await demo();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { code, stderr } = await runCli(configFor(database, DEMO).replace('{ enabled: false }', `{ port: ${port} }`));
    server.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`port ${port} on 127.0.0.1 is in use`);
    expect(await count(database, 'eg_users')).toBe(1000);
  });

  it('what this version cannot satisfy, with the constraint', async () => {
    const database = await tables(`CREATE TABLE a (id int PRIMARY KEY);
      CREATE TABLE c (id int PRIMARY KEY, v int NOT NULL, w int NOT NULL, CONSTRAINT never CHECK (v < w AND w < v)); CREATE TABLE d (id int) PARTITION BY RANGE (id)`);
    const { stderr } = await runCli(configFor(database, 'random_seed: 1\nnum_iterations: 20'));
    expect(stderr).toMatch(/public\.c: found no values that satisfy never/);
    expect(stderr).toMatch(/public\.d: has no partition, so no INSERT/);
  });

  it('nothing is written by --dry-run', async () => {
    const database = await demo();
    const { code, stdout } = await runCli(configFor(database, DEMO), ['--dry-run']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^A dry run: nothing is written\.$/m);
    expect(stdout).toMatch(/public\.eg_users: INSERT 3, UPDATE 2, DELETE 1 \(weights\); 1000 existing rows may change/);
    expect(stdout).toMatch(/email character varying\(80\) +unique text: email/);
    for (const operation of ['INSERT INTO', 'UPDATE', 'DELETE FROM'])
      expect(stdout.split(`  ${operation} "public"."eg_users"`).length).toBe(2);
    expect(stdout).toMatch(/… \d+ more values/);
    expect(await count(database, 'eg_users')).toBe(1000);
  });
});
