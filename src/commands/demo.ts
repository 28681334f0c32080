import type { Config } from '../config/load.js';
import { type Cluster, startCluster } from '../server/cluster.js';
import { createDemo } from '../server/demo.js';
import { connectCoordinator } from './connect.js';

/** A private PostgreSQL with the demo tables. The caller stops it. */
export async function startDemo(config: Config, runId: string): Promise<Cluster> {
  const cluster = await startCluster();
  try {
    const client = await connectCoordinator(cluster.settings, config, runId);
    await client.query('SET search_path = public');
    await createDemo(client);
    await client.end();
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}
