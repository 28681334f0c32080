/** Full speed on tables of steady size: does memory grow? The least resident memory per 30 s, and its slope. */
import { createDemo } from '../src/server/demo.js';
import { configFor, describeMachine, option, sleep, startOurs, withServer } from './measure.js';

const MINUTES = option('minutes', 10);
const WORKERS = option('workers', 2);
const WINDOW_SECONDS = 30;

await withServer(async (cluster, client) => {
  await client.query('SET search_path = public');
  await createDemo(client);
  const config = configFor(
    cluster,
    `schema_name: public\nmanual_table_list: [eg_users, eg_orders]\nnum_iterations: -1\nrandom_seed: 1\nworkers: ${WORKERS}\ntable_rows: { min: 0, max: 200000 }`,
  );
  const running = await startOurs(cluster, config);
  const least: number[] = [];
  let operations = 0;
  console.log(`${describeMachine()}; ${WORKERS} workers, ${MINUTES} minutes`);
  for (let window = 0; window < (MINUTES * 60) / WINDOW_SECONDS; window++) {
    let lowest = Number.POSITIVE_INFINITY;
    const sampling = setInterval(() => {
      lowest = Math.min(lowest, process.memoryUsage.rss());
    }, 200);
    const sample = await running.window(WINDOW_SECONDS);
    clearInterval(sampling);
    operations += sample.operations;
    least.push(lowest / 1e6);
    const { rows } = await client.query<{ users: number; orders: number }>(
      'SELECT (SELECT count(*)::int FROM eg_users) AS users, (SELECT count(*)::int FROM eg_orders) AS orders',
    );
    console.log(
      `${String((window + 1) * WINDOW_SECONDS).padStart(4)} s: ${Math.round(sample.operations / sample.seconds)} operations/s, least ${(lowest / 1e6).toFixed(0)} MB, rows ${rows[0]!.users} + ${rows[0]!.orders}`,
    );
  }
  await running.stop();
  await sleep(0);
  const from = Math.ceil(120 / WINDOW_SECONDS);
  console.log(
    `${operations} operations; slope over minutes 2 to ${MINUTES}: ${slopePerMinute(least.slice(from)).toFixed(2)} MB/min; most ${Math.max(...least).toFixed(0)} MB`,
  );
});

/** Least squares; values are one per window. */
function slopePerMinute(values: readonly number[]): number {
  const minutes = values.map((_, index) => (index * WINDOW_SECONDS) / 60);
  const mean = (of: readonly number[]) => of.reduce((sum, value) => sum + value, 0) / of.length;
  const [x, y] = [mean(minutes), mean(values)];
  const covariance = minutes.reduce((sum, minute, index) => sum + (minute - x) * (values[index]! - y), 0);
  const variance = minutes.reduce((sum, minute) => sum + (minute - x) * (minute - x), 0);
  return covariance / variance;
}
