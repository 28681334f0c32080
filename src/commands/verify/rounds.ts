import type pg from 'pg';
import type { Config } from '../../config/load.js';
import { isServer, type ServerTarget } from '../../config/replication.js';
import { connectCoordinator } from '../../prepare/connect.js';
import { PINNED_SETTINGS } from '../../proof/contents.js';
import type { Verdict } from '../../proof/verdict.js';
import type { VerificationRound } from '../../report/summary.js';
import type { Traffic } from '../../traffic/coordinator.js';
import { compareContents } from './contents.js';

export interface RoundOptions {
  readonly config: Config;
  /** Names of the plan's tables as schema.table, unquoted. */
  readonly tables: readonly string[];
  readonly runId: string;
  readonly traffic: Traffic;
  readonly say: (level: 'info' | 'warn', text: string) => void;
  /** Ends the run early. */
  readonly stop: () => void;
}

/* Time limit for operations in flight when the lanes are held. */
const SETTLE_MS = 30_000;
const POLL_MS = 30;
const RECHECKS = 10;
const MOST_DIFFERENCES = 20;

/**
 * Compares the run's tables with its replication targets every so often: the lanes are held, the targets catch up, the contents are
 * compared, and the lanes go on.
 */
export class VerifyRounds {
  private readonly options: RoundOptions;
  private readonly startMs = performance.now();
  private readonly timer: NodeJS.Timeout | undefined;
  private current: Promise<void> = Promise.resolve();
  private isBusy = false;
  readonly rounds: VerificationRound[] = [];

  constructor(options: RoundOptions) {
    this.options = options;
    const { everyMs } = options.config.verification!;
    this.timer = setInterval(() => {
      if (!this.isBusy) this.current = this.round();
    }, everyMs);
    this.timer.unref();
  }

  /** Runs a last round after the traffic. */
  async end(): Promise<readonly VerificationRound[]> {
    clearInterval(this.timer);
    await this.current;
    await this.round();
    return this.rounds;
  }

  /** Starts no further round; one in progress finishes. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.current;
  }

  private async round(): Promise<void> {
    const { config, traffic, say, stop } = this.options;
    const { targets, stopsOnDifference } = config.verification!;
    this.isBusy = true;
    traffic.hold();
    try {
      for (const target of config.replication!.targets.filter(isServer).filter(({ name }) => targets.includes(name))) {
        const beganMs = performance.now();
        const verdict = await this.verdictOn(target);
        const seconds = Number(((performance.now() - beganMs) / 1000).toFixed(3));
        this.rounds.push({
          target: target.name,
          after_seconds: Number(((beganMs - this.startMs) / 1000).toFixed(3)),
          seconds,
          verdict: verdict.verdict,
          headline: verdict.headline,
          differences: verdict.differences.slice(0, MOST_DIFFERENCES),
        });
        say(verdict.verdict === 'equal' ? 'info' : 'warn', `verify ${target.name}: ${verdict.headline}`);
        if (verdict.verdict === 'different' && stopsOnDifference) stop();
      }
    } finally {
      traffic.release();
      this.isBusy = false;
    }
  }

  private async verdictOn(target: ServerTarget): Promise<Verdict> {
    const clients: pg.Client[] = [];
    try {
      const { config, runId, tables } = this.options;
      for (const connection of [config.connection, target.connection]) {
        const client = await connectCoordinator(connection, config, `${runId}/verify`);
        clients.push(client);
        await client.query(PINNED_SETTINGS);
      }
      const [source, copy] = clients as [pg.Client, pg.Client];
      await this.settle(source);
      const scope = { schemas: [], tables, excluded: [], renamed: NO_NAMES, columns: NO_COLUMNS };
      const options = {
        scope,
        rate: 0,
        rechecks: RECHECKS,
        isStrict: false,
        resumeFile: undefined,
        step: () => undefined,
      };
      return await compareContents(source, copy, options);
    } catch (error) {
      return undecided((error as Error).message);
    } finally {
      for (const client of clients) await client.end().catch(() => undefined);
    }
  }

  /** Waits until the lanes' statements are done. */
  private async settle(client: pg.Client): Promise<void> {
    const { runId } = this.options;
    for (const deadline = performance.now() + SETTLE_MS; performance.now() < deadline; ) {
      const { rows } = await client.query<{ busy: number }>(
        `SELECT count(*)::int AS busy FROM pg_stat_activity WHERE application_name ~ $1 AND state <> 'idle'`,
        [`^eventgen/${runId}/[0-9]+$`],
      );
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      if (rows[0]!.busy === 0) return;
    }
  }
}

const NO_NAMES: ReadonlyMap<string, string> = new Map();
const NO_COLUMNS: ReadonlyMap<string, readonly string[]> = new Map();

function undecided(reason: string): Verdict {
  return {
    verdict: 'undecided',
    headline: `Not decided: ${reason}.`,
    tables: {},
    differences: [],
    difference_count: 0,
    undecided: [reason],
    not_compared: [],
    notes: [],
  };
}
