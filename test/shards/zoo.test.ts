import { expect, it } from 'vitest';
import { mergeSummaries } from '../../src/report/merge.js';
import type { Summary } from '../../src/report/summary.js';
import { configFor, contentHash, createDatabase, type Database, runCli } from '../server/database.js';
import { isSociable, schemaOf, sharedSql } from '../zoo/animal.js';
import { CHECKS } from '../zoo/checks.js';
import { COLUMNS } from '../zoo/columns.js';
import { KEYS } from '../zoo/keys.js';
import { PARTITIONS } from '../zoo/partitions.js';

const SHARDS = 3;
const OPERATIONS = 200;

/** Runs all shards to their end, and merges their summaries. */
async function sharded(config: string): Promise<{ codes: (number | null)[]; merged: Summary }> {
  const ran = await Promise.all(
    Array.from({ length: SHARDS }, (_, index) =>
      runCli(config, ['--shard', `${index + 1}/${SHARDS}`, '--run-id', 'zoo', '--quiet']),
    ),
  );
  const merged = mergeSummaries(ran.map(({ summary }, index) => ({ name: `shard ${index + 1}`, summary })));
  return { codes: ran.map(({ code }) => code), merged };
}

it('three shards leave the rows and counts of one process on every shape that needs no settings', async () => {
  const animals = [...CHECKS, ...COLUMNS, ...KEYS, ...PARTITIONS].filter(
    (animal) => isSociable(animal) && animal.since === undefined,
  );
  const sql = sharedSql(animals);
  const [one, three] = [await createDatabase(sql), await createDatabase(sql)];
  const operations = OPERATIONS * animals.length;
  const yaml = (database: Database) =>
    configFor(
      database,
      `random_seed: 9\nnum_iterations: ${operations}\nconnections: 6\noperation_weights: [3, 2, 1]\nschema_name: [${animals.map(schemaOf).join(', ')}]`,
    );
  try {
    const alone = await runCli(yaml(one), ['--quiet']);
    const { codes, merged } = await sharded(yaml(three));
    expect([alone.code, ...codes]).toEqual([0, 0, 0, 0]);
    const tables = Object.keys(alone.summary.tables);
    expect(tables.length).toBeGreaterThan(animals.length);
    expect(merged.tables).toEqual(alone.summary.tables);
    expect(merged.totals['operations']).toBe(operations);
    expect(await contentHash(three, tables)).toEqual(await contentHash(one, tables));
  } finally {
    await one.drop();
    await three.drop();
  }
});
