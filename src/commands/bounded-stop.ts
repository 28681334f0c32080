import type { Config } from '../config/load.js';
import { connectCoordinator } from '../prepare/connect.js';
import type { Traffic } from '../traffic/coordinator.js';
import { applicationName } from '../traffic/message.js';

/* Cancelled repeatedly, because the next statement begins at once and may have to wait as well. */
const CANCEL_EVERY_MS = 200;
const CANCEL_MS = 5000;
/* Time that threads have to look up what was in flight, before they are ended. */
const THREADS_MS = 15_000;

/**
 * Limits the time that operations in flight have to finish. After it, their statements are cancelled, then their
 * sessions are ended, and finally threads that are too busy to notice.
 */
export class BoundedStop {
  private readonly traffic: Traffic;
  private readonly config: Config;
  private readonly runId: string;
  private readonly say: (text: string) => void;
  private timer: NodeJS.Timeout | undefined;
  private isOver = false;

  constructor(
    traffic: Traffic,
    { config, runId, say }: { readonly config: Config; readonly runId: string; readonly say: (text: string) => void },
  ) {
    this.traffic = traffic;
    this.config = config;
    this.runId = runId;
    this.say = say;
  }

  /** Lets no further operation begin, and starts the time limit of those in flight. */
  begin(): void {
    this.traffic.stop();
    this.timer ??= setTimeout(() => void this.cut(), this.config.generator.timeouts.stop);
  }

  /** Clears the time limit, because the traffic has ended. */
  end(): void {
    this.isOver = true;
    clearTimeout(this.timer);
  }

  private async cut(): Promise<void> {
    const seconds = this.config.generator.timeouts.stop / 1000;
    this.say(
      `operations in flight did not finish within ${seconds} s (generator.timeouts.stop) and are being cancelled`,
    );
    this.traffic.cut();
    setTimeout(() => {
      if (!this.isOver) void this.traffic.endThreads();
    }, CANCEL_MS + THREADS_MS).unref();
    await this.cancel().catch(() => undefined);
  }

  private async cancel(): Promise<void> {
    const client = await connectCoordinator(this.config.connection, this.config, this.runId);
    const lanes = [this.traffic.lanes.map((lane) => applicationName(this.runId, lane))];
    try {
      for (const endMs = performance.now() + CANCEL_MS; !this.isOver && performance.now() < endMs; ) {
        await client.query(
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = ANY ($1) AND state = 'active'",
          lanes,
        );
        await new Promise((resolve) => setTimeout(resolve, CANCEL_EVERY_MS));
      }
      if (!this.isOver)
        await client.query(
          'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ANY ($1)',
          lanes,
        );
    } finally {
      await client.end();
    }
  }
}
