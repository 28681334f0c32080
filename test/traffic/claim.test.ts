import { expect, it } from 'vitest';
import { configFor, count, createDatabase, runCli } from '../server/database.js';

/* A hub as applications have them: hundreds of keys lead to it, from columns of other types, by two unique keys. */
const CHILDREN = 300;
const TABLES = `CREATE TABLE hub (id bigint PRIMARY KEY, code varchar(30) NOT NULL, region text NOT NULL, note text, UNIQUE (code, region));
  INSERT INTO hub SELECT n, 'code' || n, 'region', 'n' FROM generate_series(1, 40) AS n;
  ${Array.from({ length: CHILDREN }, (_, n) => `CREATE TABLE child${n} (id int PRIMARY KEY, hub ${['int', 'smallint', 'bigint'][n % 3]} REFERENCES hub);`).join('\n')}
  CREATE TABLE pair (id int PRIMARY KEY, code text, region varchar(9), FOREIGN KEY (code, region) REFERENCES hub (code, region));
  INSERT INTO child0 SELECT n, n FROM generate_series(1, 10) AS n;
  INSERT INTO child2 SELECT n, n + 10 FROM generate_series(1, 10) AS n;
  INSERT INTO pair SELECT n, 'code' || n + 20, 'region' FROM generate_series(1, 10) AS n;`;

it.each(['owned', 'system_rows'])(
  'a table that hundreds of keys lead to loses only rows that none does, with %s rows',
  async (selection) => {
    const database = await createDatabase(TABLES);
    // Owned rows: keys of children that are not targeted count as well.
    const tables = selection === 'owned' ? 'manual_table_list: [hub]' : 'table_weights: { hub: 900 }';
    const settings = `random_seed: 1\n${tables}\nnum_iterations: 400\noperation_weights: [1, 1, 6]\nrow_selection: ${selection}`;
    const { code, summary } = await runCli(configFor(database, settings));
    expect(code).toBe(0);
    const hub = summary.tables['public.hub']!;
    expect(hub.rows_expected).toBe(await count(database, 'hub'));
    expect(hub.delete.rows).toBeGreaterThan(10);
    if (selection === 'owned') expect(summary.errors).toEqual({});
    // A DELETE that finds no row becomes an INSERT, and is owed.
    else expect(hub.insert.operations).toBeGreaterThan(hub.delete.operations / 10);
    expect(Object.keys(summary.errors).filter((sqlstate) => sqlstate !== '23505')).toEqual([]);
    await database.drop();
  },
);
