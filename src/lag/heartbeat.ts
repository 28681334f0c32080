import type pg from 'pg';
import type { ConnectionSettings } from '../config/connection.js';
import { settledWithin } from '../patience.js';
import { connect } from '../traffic/session.js';
import { Question } from './question.js';
import { readSource, type Source } from './source.js';
import { clearHeartbeat, heartbeatStatement, type Place } from './table.js';
import { parseLsn } from './wal.js';

/** Who wants to know of heartbeats: one listener per target. */
export interface HeartbeatListener {
  /** A heartbeat was committed: the answer came at `ms`. */
  committed(sequence: number, ms: number): void;
  /** The server was read: a moment to compare with. */
  located(): void;
}

export interface HeartbeatOptions extends Place {
  readonly connection: ConnectionSettings;
  readonly intervalMs: number;
  readonly connectTimeoutMs: number;
  /** Kept up to date with what the server tells. */
  readonly source: Source;
  readonly listeners: readonly HeartbeatListener[];
  readonly now: () => number;
}

/** With this many unanswered heartbeats the server counts as stuck, and no more are sent until it answers. */
const MOST_UNANSWERED = 200;
const STUCK_MS = 10_000;
const READ_INTERVAL_MS = 500;

/**
 * Writes heartbeats: a row of the run whose sequence grows on a fixed schedule. It never waits, neither for a target nor
 * for the answer to the heartbeat before, so that what slows the servers down is measured and not left out.
 */
export class Heartbeat {
  private readonly options: HeartbeatOptions;
  private client: pg.Client | null = null;
  private connecting = false;
  private timer: NodeJS.Timeout | null = null;
  private beganMs = 0;
  private sequence = 0;
  private unanswered = 0;
  private answeredMs = 0;
  private readAtMs = Number.NEGATIVE_INFINITY;
  /** Null until it is known whether the server tells of positions in its log. */
  private hasLog: boolean | null = null;
  private asked: { readonly client: pg.Client; readonly isLocated: boolean; readonly question: Question } | null = null;
  /** Moments of the schedule at which none could be sent. */
  missed = 0;

  constructor(options: HeartbeatOptions) {
    this.options = options;
  }

  /** Begins the schedule on an established session. */
  start(client: pg.Client): void {
    this.client = client;
    this.beganMs = this.options.now();
    this.schedule(1);
  }

  /** Sends no more, and waits a moment for the answers to those under way. */
  async stop(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const deadline = this.options.now() + FAREWELL_MS;
    while (this.client !== null && this.unanswered > 0 && this.options.now() < deadline) await pause(5);
  }

  /** Takes the run's row away, and ends the session. */
  async end(): Promise<void> {
    await this.stop();
    const { client } = this;
    if (client === null) return;
    this.client = null;
    const farewell = clearHeartbeat(client, this.options).catch(() => undefined);
    await settledWithin(farewell, FAREWELL_MS);
    destroy(client);
  }

  /* The n-th heartbeat is due n intervals after the start: a late timer does not move those after it. */
  private schedule(beat: number): void {
    const { intervalMs, now } = this.options;
    const waitMs = Math.max(0, this.beganMs + beat * intervalMs - now());
    this.timer = setTimeout(() => {
      // Moments that passed while this thread was held up are gone: one heartbeat tells as much as all of them.
      const passed = Math.max(0, Math.floor((now() - this.beganMs) / intervalMs) - beat);
      this.missed += passed;
      this.beat();
      this.schedule(beat + passed + 1);
    }, waitMs);
    this.timer.unref();
  }

  private beat(): void {
    const { runId, listeners, now } = this.options;
    if (this.unanswered === 0) this.answeredMs = now();
    // A connection may be gone without a sign. What its backend still carries out cannot turn the sequence back.
    else if (now() - this.answeredMs > STUCK_MS) this.lost();
    const { client } = this;
    if (client === null || this.unanswered >= MOST_UNANSWERED) {
      this.missed++;
      if (client === null && !this.connecting) this.reconnect().catch(() => undefined);
      return;
    }
    const sequence = ++this.sequence;
    this.options.source.sent = sequence;
    this.unanswered++;
    const { hasLog } = this;
    this.question(client, hasLog === true)
      .ask([runId, String(sequence)])
      .then(
        (lsn) => {
          const ms = now();
          if (this.client !== client) return;
          this.answeredMs = ms;
          this.unanswered--;
          if (hasLog === true && lsn !== null) this.options.source.log.add(sequence, parseLsn(lsn), ms);
          for (const listener of listeners) listener.committed(sequence, ms);
        },
        () => {
          if (this.client === client) this.lost();
        },
      );
    if (now() - this.readAtMs >= READ_INTERVAL_MS) this.read(client);
  }

  /** What is asked of a session for each heartbeat; where the server has a log, it returns the position of the commit. */
  private question(client: pg.Client, isLocated: boolean): Question {
    const { schema, tables } = this.options;
    if (this.asked?.client !== client || this.asked.isLocated !== isLocated) {
      // Its commit record comes right behind the position that is returned.
      const returning = isLocated ? 'RETURNING pg_catalog.pg_current_wal_insert_lsn()::text' : '';
      const name = isLocated ? 'heartbeat_lsn' : 'heartbeat';
      const question = new Question(client, name, heartbeatStatement(schema, tables, returning));
      this.asked = { client, isLocated, question };
    }
    return this.asked.question;
  }

  /* A server of another make has no such figures; a lost connection is seen by the heartbeat itself. */
  private read(client: pg.Client): void {
    const { now, source } = this.options;
    this.readAtMs = now();
    readSource(client, source.reading, now).then(
      (reading) => {
        this.hasLog = true;
        source.reading = reading;
        for (const listener of this.options.listeners) listener.located();
      },
      () => undefined,
    );
  }

  /* Whether what was unanswered has been committed is not known: such heartbeats are never waited for. */
  private lost(): void {
    if (this.client !== null) destroy(this.client);
    this.client = null;
    this.unanswered = 0;
  }

  private async reconnect(): Promise<void> {
    this.connecting = true;
    try {
      const client = await connectHeartbeat(this.options);
      if (this.timer === null) destroy(client);
      else this.client = client;
    } catch {
      // Tried again at the next moment of the schedule that comes after a while.
      await pause(RETRY_MS);
    } finally {
      this.connecting = false;
    }
  }
}

const RETRY_MS = 500;
const FAREWELL_MS = 1000;

/*
 * Where the server's commits do not wait for its disk, a heartbeat that does would make the disk work for all of them, twenty
 * times a second.
 */
const COMMIT_AS_TRAFFIC = `SELECT set_config('synchronous_commit',
  CASE current_setting('synchronous_commit') WHEN 'off' THEN 'off' ELSE 'local' END, false)`;

/**
 * The session that writes heartbeats: pipelined, and not waiting for synchronous standbys, since a commit that waits for
 * the target would hide the target's lag.
 */
export async function connectHeartbeat(
  options: Pick<HeartbeatOptions, 'connection' | 'runId' | 'connectTimeoutMs'>,
): Promise<pg.Client> {
  const client = await connect(options.connection, {
    applicationName: `eventgen/${options.runId}/heartbeat`,
    connectTimeoutMs: options.connectTimeoutMs,
    // A backend that is given up must not go on waiting: others follow it.
    statementTimeoutMs: STUCK_MS,
    lockTimeoutMs: 0,
    pipeline: true,
  });
  await client.query(COMMIT_AS_TRAFFIC);
  return client;
}

/** Ends a session at once, also one whose server no longer answers. */
export function destroy(client: pg.Client): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
