import { Pushgateway } from 'prom-client';
import type { Registries } from '../metrics/registry.js';
import type { Progress } from '../report/progress.js';
import type { StopSignals } from './stop-signals.js';

/** What happens to the metrics when a run has ended. */
export interface Publishing {
  /** Address of a Prometheus Pushgateway; undefined: none. */
  readonly gateway: string | undefined;
  /** How long /metrics stays available for a last scrape. */
  readonly lingerMs: number;
}

const PUSH_TIMEOUT_MS = 10_000;

/**
 * Publishes the final metrics, so that a short run is not missed between two scrapes. If the gateway does not answer,
 * this only warns.
 */
export async function publish(
  { gateway, lingerMs }: Publishing,
  registries: Registries,
  run: { readonly run_id: string; readonly shard?: string },
  progress: Progress,
  stops: StopSignals,
): Promise<void> {
  if (gateway !== undefined) {
    try {
      const client = new Pushgateway(gateway, { timeout: PUSH_TIMEOUT_MS }, registries.text);
      await client.pushAdd({ jobName: 'event-generator', groupings: run });
      progress.message('info', `metrics pushed to ${gateway}`);
    } catch (error) {
      progress.message('warn', `the metrics could not be pushed to ${gateway}: ${(error as Error).message}`);
    }
  }
  if (lingerMs === 0 || stops.signal !== null) return;
  progress.message('info', `/metrics stays available for ${lingerMs / 1000} s (Ctrl+C ends at once)`);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, lingerMs);
    stops.onFirst(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
