import { describeConnection } from '../config/connection.js';
import type { Config } from '../config/load.js';
import { isServer, type ReplicationTarget } from '../config/replication.js';
import { heartbeatDefinition } from '../lag/table.js';
import { connectCoordinator } from '../prepare/connect.js';
import { type Cluster, startCluster } from '../server/cluster.js';
import { startConsumer } from '../server/consumer.js';
import { createDemo, createDemoTables } from '../server/demo.js';
import { startStandby, startSubscriber } from '../server/replica.js';
import { trapDefinitions } from '../traps/layout.js';

/** Private servers, and the configuration with their addresses. */
export interface DemoServers {
  readonly config: Config;
  /** Stops the replicas first, then the server that they follow. */
  stop(): Promise<void>;
}

/** Starts a private PostgreSQL with the demo tables and, if requested, its embedded replicas. The caller stops them. */
export async function startDemo(
  config: Config,
  runId: string,
  { say, replicas }: { readonly say: (text: string) => void; readonly replicas: boolean },
): Promise<DemoServers> {
  const started: { stop(): Promise<void> }[] = [];
  const stop = async () => {
    for (const each of started.reverse()) await each.stop();
  };
  try {
    const primary = await startCluster();
    started.push(primary);
    const client = await connectCoordinator(primary.settings, config, runId);
    await client.query('SET search_path = public');
    await createDemo(client);
    // A subscription includes only tables that exist when it is created.
    const replication = replicas ? config.replication : null;
    if (replication !== null) await client.query(heartbeatDefinition(replication.schema, replication.tables));
    if (replication !== null && config.traps !== null)
      for (const definition of trapDefinitions(config.traps.schema, config.traps.weights.keys()))
        await client.query(definition);
    await client.end();
    say(`started an embedded PostgreSQL with the demo tables: ${describeConnection(primary.settings)}`);
    const targets: ReplicationTarget[] = [];
    for (const target of replication?.targets ?? []) {
      if (target.kind === 'slot' && target.embedded) {
        started.push(await startConsumer(primary, target.slot));
        say(`started the embedded consumer ${target.name}, which reads the replication slot ${target.slot}`);
      }
      if (!isServer(target) || !target.embedded) {
        targets.push(target);
        continue;
      }
      const replica = await startReplica(primary, target.kind, config);
      started.push(replica);
      const { settings } = replica;
      say(`started the embedded ${target.kind} replica ${target.name}: ${describeConnection(settings)}`);
      targets.push({ ...target, connection: settings });
    }
    return {
      config: {
        ...config,
        connection: primary.settings,
        replication: replication === null ? null : { ...replication, targets },
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startReplica(
  primary: Cluster,
  kind: ReplicationTarget['kind'],
  { replication, traps }: Config,
): Promise<Cluster> {
  if (kind === 'physical') return startStandby(primary);
  return startSubscriber(primary, async (client) => {
    await createDemoTables(client);
    await client.query(heartbeatDefinition(replication!.schema, replication!.tables));
    for (const definition of traps === null ? [] : trapDefinitions(traps.schema, traps.weights.keys()))
      await client.query(definition);
  });
}
