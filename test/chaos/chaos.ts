/**
 * Runs on schemas of the zoo while connections are cut, servers killed, tables locked and standbys promoted:
 * `npm run chaos -- --minutes 30 --seed N`. `--animal NAME` and `--fault NAME` leave out all others. Each must end with true counts; a failed round is repeated by its seed.
 */
import { parseArgs } from 'node:util';
import { reproducibleShare, storm } from './storm.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '100000' },
    animal: { type: 'string' },
    fault: { type: 'string' },
  },
});
const only = { animal: values.animal ?? null, fault: values.fault ?? null };
const outcomes = await storm(
  {
    seed: Number(values.seed),
    minutes: Number(values.minutes),
    most: Number(values.rounds),
    operations: 8000,
    ...only,
  },
  (text) => console.log(text),
);
const faults = new Map<string, number>();
for (const { struck, threadDeaths } of outcomes) {
  for (const name of struck) faults.set(name, (faults.get(name) ?? 0) + 1);
  if (threadDeaths > 0) faults.set('thread died', (faults.get('thread died') ?? 0) + threadDeaths);
}
const failed = outcomes.filter(({ wrong }) => wrong.length > 0).length;
const events = outcomes.reduce((sum, each) => sum + each.events, 0);
console.log(
  `\n${outcomes.length} rounds with seed ${values.seed}, ${events} events: ${outcomes.length - failed} hold, ${failed} do not`,
);
console.log(`faults: ${[...faults].map(([name, count]) => `${name} ${count}`).join(', ')}`);
console.log(
  `reproducible, of the rounds whose faults change no rows: ${Math.round(reproducibleShare(outcomes) * 100)} %`,
);
process.exitCode = failed === 0 ? 0 : 1;
