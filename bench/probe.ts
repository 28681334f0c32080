/**
 * What measuring the lag costs: one load at full speed beside a standby, in windows without the probe, with it, and without it again. The
 * standby runs in all of them, on the same machine.
 */
import { parseConfig } from '../src/config/load.js';
import { ReplicationProbe } from '../src/lag/probe.js';
import { heartbeatDefinition } from '../src/lag/table.js';
import { createDemo } from '../src/server/demo.js';
import { startStandby } from '../src/server/replica.js';
import {
  configFor,
  describeMachine,
  median,
  option,
  perSecond,
  sleep,
  spread,
  startOurs,
  withServer,
} from './measure.js';

const ROUNDS = option('rounds', 12);
const SECONDS = option('seconds', 4);
/* What is measured is the state after the first questions. */
const SETTLE_SECONDS = 0.5;

await withServer(async (cluster, client) => {
  console.log(`${describeMachine()}; ${ROUNDS} rounds of three windows of ${SECONDS} s, heartbeats every 50 ms`);
  await createDemo(client);
  await client.query(heartbeatDefinition('event_generator'));
  const standby = await startStandby(cluster);
  const { host, port, database, user } = cluster.settings;
  const { replication } = parseConfig(
    'bench',
    `connection: { host: ${host}, port: ${port}, database: ${database}, user: ${user} }
replication:
  targets: [{ name: standby, kind: physical, connection: { port: ${standby.settings.port} } }]
`,
    [],
    process.env,
  );
  const running = await startOurs(
    cluster,
    configFor(cluster, 'schema_name: public\nnum_iterations: -1\nrandom_seed: 1\nconnections: 4\nworkers: 1'),
  );
  try {
    await sleep(SECONDS);
    const bare = async () => perSecond(await running.window(SECONDS));
    const rates: { readonly without: number; readonly with: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const before = await bare();
      const probe = await ReplicationProbe.open({
        replication: replication!,
        connection: cluster.settings,
        runId: `bench-probe-${round}`,
        connectTimeoutMs: 5000,
        report: (_, text) => console.log(text),
      });
      probe.start();
      await sleep(SETTLE_SECONDS);
      const probed = await bare();
      await probe.end();
      rates.push({ without: (before + (await bare())) / 2, with: probed });
    }
    const ratios = rates.map((each) => each.with / each.without);
    console.log(
      `without the probe: ${spread(
        rates.map(({ without }) => without),
        0,
      )} operations/s`,
    );
    console.log(
      `with it: ${spread(
        rates.map((each) => each.with),
        0,
      )} operations/s, ratio ${spread(ratios, 3)}`,
    );
    console.log(`the probe costs ${((1 - median(ratios)) * 100).toFixed(1)} % of the throughput`);
  } finally {
    await running.stop();
    await standby.stop();
  }
});
