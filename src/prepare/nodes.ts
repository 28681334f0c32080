import type pg from 'pg';
import { readFlavour } from '../catalog/flavour.js';
import type { Place } from '../config/connection.js';

/** Returns the nodes of a distributed database that accept connections; none where it does not tell them. */
export async function nodesOf(client: pg.Client): Promise<Place[]> {
  if ((await readFlavour(client)) !== 'YugabyteDB') return [];
  try {
    const { rows } = await client.query<{ host: string; port: number }>(
      "SELECT host::text, port::int FROM yb_servers() WHERE node_type = 'primary' ORDER BY host, port",
    );
    return rows.map(({ host, port }) => ({ host, port }));
  } catch {
    // Old versions lack the function: the lanes connect where the configuration says.
    return [];
  }
}
