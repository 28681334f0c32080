import type { Config } from '../config/load.js';
import { type Endpoint, openEndpoint } from '../metrics/endpoint.js';
import { serveDocuments } from '../page/documents.js';
import { LivePage } from '../page/live.js';
import type { Progress } from '../report/progress.js';

/** The port on which a run or a load is watched, and the page that it serves there. */
export interface Watched {
  readonly endpoint: Endpoint;
  readonly page: LivePage;
}

/**
 * Opens the port of the live page and the metrics, and says its addresses; null if metrics are turned off.
 * @throws SetupError if the port cannot be opened
 */
export async function openPage({ metrics, source }: Config, progress: Progress): Promise<Watched | null> {
  const { enabled, host, port, allowed_hosts: allowedHosts } = metrics;
  if (!enabled) return null;
  // A configured port must not be replaced by another one.
  const mayMove = source.valueAt(['metrics', 'port']) === undefined;
  const endpoint = await openEndpoint({ host, port, mayMove }, allowedHosts);
  const address = `http://${host}:${endpoint.port}`;
  progress.message('info', `live page on ${address}/`);
  progress.message('info', `metrics on ${address}/metrics`);
  serveDocuments(endpoint);
  return { endpoint, page: new LivePage(endpoint) };
}
