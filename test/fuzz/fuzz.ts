/**
 * Random schemas against inspect, load and run: `npm run fuzz:schemas -- --seed N --count 200`. What fails is made smaller
 * and printed as SQL. `--only 8` checks the eighth of them, `--reduce 0` leaves out making it smaller.
 */
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { startCluster } from '../../src/server/cluster.js';
import { faultsOf, reduced } from './check.js';
import { schemas, sqlOf } from './schema.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '200' },
    most: { type: 'string', default: '30' },
    reduce: { type: 'string', default: '40' },
    only: { type: 'string' },
  },
});
const drafts = fc.sample(schemas(10, Number(values.most)), {
  seed: Number(values.seed),
  numRuns: Number(values.count),
});
const cluster = await startCluster({ settings: ['fsync = off'] });
let failed = 0;
try {
  const { host, port, user } = cluster.settings;
  const server = { host, port, user };
  for (const [index, tables] of drafts.entries()) {
    if (values.only !== undefined && index + 1 !== Number(values.only)) continue;
    const faults = await faultsOf(server, tables, `fuzz_${index}`);
    console.log(
      `schema ${index + 1} of ${drafts.length}, ${tables.length} tables: ${faults.length === 0 ? 'holds' : `${faults.length} faults`}`,
    );
    if (faults.length === 0) continue;
    failed++;
    for (const fault of faults.slice(0, 10)) console.log(`  ${fault}`);
    if (Number(values.reduce) === 0) {
      if (values.only !== undefined) console.log(sqlOf(tables));
      continue;
    }
    const smallest = await reduced(server, tables, `fuzz_${index}`, Number(values.reduce));
    console.log(`${sqlOf(smallest)};\n-- ${(await faultsOf(server, smallest, `fuzz_${index}`)).join('\n-- ')}`);
  }
} finally {
  await cluster.stop();
}
const checked = values.only === undefined ? drafts.length : 1;
console.log(`${checked} schemas with seed ${values.seed}: ${checked - failed} hold, ${failed} do not`);
process.exitCode = failed === 0 ? 0 : 1;
