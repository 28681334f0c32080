/** Operations per second and the generator's CPU per operation, by number of tables and by number of connections. */

import {
  configFor,
  describeMachine,
  microsPerOperation,
  option,
  perSecond,
  type Sample,
  sleep,
  spread,
  startOurs,
  withServer,
} from './measure.js';
import { createTables } from './tables.js';

const ROUNDS = option('rounds', 9);
const SECONDS = option('seconds', 5);
const WARM_UP_SECONDS = 2;
const TABLES = [1, 10, 100, 1000, 5000];
const CONNECTIONS = [1, 2, 4, 8, 16];

await withServer(async (cluster, client) => {
  console.log(`${describeMachine()}; ${ROUNDS} rounds of ${SECONDS} s, depth 16, 1 worker; median (middle half)`);
  const measure = async (tables: number, connections: number): Promise<Sample> => {
    await createTables(client, tables);
    const config = configFor(
      cluster,
      `schema_name: public\nnum_iterations: -1\nrandom_seed: 1\nconnections: ${connections}\nworkers: 1\npipeline_depth: 16`,
    );
    const running = await startOurs(cluster, config);
    // Every statement is prepared once per connection; what is measured is the state after that.
    await sleep(Math.min(20, WARM_UP_SECONDS + tables / 60));
    const sample = await running.window(SECONDS);
    await running.stop();
    return sample;
  };
  const report = (name: string, samples: readonly Sample[]) => {
    const cpu = samples.map(({ ownCpuSeconds, operations }) => microsPerOperation(ownCpuSeconds, operations));
    const machine = samples.map(({ machineCpuSeconds, operations }) =>
      microsPerOperation(machineCpuSeconds, operations),
    );
    console.log(
      `${name}: ${spread(samples.map(perSecond), 0)} operations/s, generator ${spread(cpu, 1)} µs, machine ${spread(machine, 0)} µs of CPU per operation`,
    );
    return cpu;
  };
  const byTables = new Map<number, Sample[]>(TABLES.map((count) => [count, []]));
  const byConnections = new Map<number, Sample[]>(CONNECTIONS.map((count) => [count, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [count, samples] of byTables) samples.push(await measure(count, 4));
    for (const [count, samples] of byConnections) samples.push(await measure(10, count));
    const micros = ({ ownCpuSeconds, operations }: Sample) => microsPerOperation(ownCpuSeconds, operations).toFixed(1);
    const now = [...byTables].map(([count, samples]) => `${count} tables ${micros(samples.at(-1)!)} µs`);
    console.log(`round ${round + 1}: ${now.join(', ')}`);
  }
  const cpu = new Map([...byTables].map(([count, samples]) => [count, report(`${count} tables`.padEnd(15), samples)]));
  for (const [count, samples] of byConnections) report(`${count} connections`.padEnd(15), samples);
  const ratios = cpu.get(1000)!.map((value, round) => value / cpu.get(10)![round]!);
  console.log(`generator CPU per operation, 1,000 tables / 10 tables: ${spread(ratios)}`);
});
