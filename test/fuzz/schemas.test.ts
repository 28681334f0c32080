import fc from 'fast-check';
import { expect, inject, it } from 'vitest';
import { faultsOf } from './check.js';
import { schemas } from './schema.js';

const COUNT = 3;

/* `npm run fuzz:schemas` tries as many others as one has time for. */
it.for(fc.sample(schemas(6, 10), { seed: 20261128, numRuns: COUNT }).map((tables, index) => ({ tables, index })))(
  'random schema $index: every table is reached or announced, counts are exact, workers make no difference',
  async ({ tables, index }) => {
    const server = { host: '127.0.0.1', port: inject('port'), user: 'postgres' };
    expect(await faultsOf(server, tables, `fuzz_${process.pid}_${index}`)).toEqual([]);
  },
);
