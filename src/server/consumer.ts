import { Worker } from 'node:worker_threads';
import { packageFile } from '../package.js';
import type { Cluster } from './cluster.js';
import { administer, dropSlot } from './replica.js';

/** A consumer of changes, on a thread of its own. */
export interface Consumer {
  stop(): Promise<void>;
}

/** Starts a consumer of a private server that reads all changes through a logical slot, and confirms them once a second. */
export async function startConsumer(primary: Cluster, slot: string): Promise<Consumer> {
  await administer(primary, async (client) => {
    await client.query(`CREATE PUBLICATION ${client.escapeIdentifier(slot)} FOR ALL TABLES`);
    await client.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
  });
  const { host, port, user, database } = primary.settings;
  const worker = new Worker(packageFile('dist/workers/consumer.js'), {
    workerData: { host, port, user, database, slot, publication: slot },
  });
  // A consumer that has failed is seen by the lag of its slot.
  worker.on('error', () => undefined);
  return {
    stop: async () => {
      await worker.terminate();
      await dropSlot(primary, slot);
    },
  };
}
