import { describe, expect, it } from 'vitest';
import { mergeSummaries } from '../../src/report/merge.js';
import type { Summary } from '../../src/report/summary.js';
import { configFor, contentHash, createDatabase, type Database, runCli } from '../server/database.js';
import type { Animal } from '../zoo/animal.js';
import { CHECKS } from '../zoo/checks.js';
import { COLUMNS } from '../zoo/columns.js';
import { KEYS } from '../zoo/keys.js';
import { PARTITIONS } from '../zoo/partitions.js';

const SHARDS = 3;
const OPERATIONS = 600;

function yamlFor(database: Database, { settings = '' }: Animal): string {
  const own = settings.split('\n').filter((line) => !/^(num_iterations|connections|random_seed):/.test(line));
  return configFor(
    database,
    ['random_seed: 9', `num_iterations: ${OPERATIONS}`, 'connections: 6', 'operation_weights: [3, 2, 1]', ...own].join(
      '\n',
    ),
  );
}

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

const ANIMALS = [...CHECKS, ...COLUMNS, ...KEYS, ...PARTITIONS].filter(
  ({ since, settings }) =>
    since === undefined && !settings?.includes('identity_values') && !settings?.includes('operation_weights'),
);

describe('three shards', () => {
  const chosen = ANIMALS.filter((_, index) => index % Math.ceil(ANIMALS.length / 10) === 0);
  it.for(chosen)('leave the rows and counts of one process: $name', async (animal) => {
    const [one, three] = [await createDatabase(animal.sql), await createDatabase(animal.sql)];
    try {
      const alone = await runCli(yamlFor(one, animal), ['--quiet']);
      const { codes, merged } = await sharded(yamlFor(three, animal));
      expect([alone.code, ...codes]).toEqual([0, 0, 0, 0]);
      const tables = Object.keys(alone.summary.tables);
      expect(merged.tables).toEqual(alone.summary.tables);
      expect(merged.totals['operations']).toBe(OPERATIONS);
      expect(await contentHash(three, tables)).toEqual(await contentHash(one, tables));
    } finally {
      await one.drop();
      await three.drop();
    }
  });
});
