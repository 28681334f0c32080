import type pg from 'pg';
import { settledWithin } from '../patience.js';
import type { Plan } from '../plan/plan.js';
import type { BlockedTables } from './blocked-tables.js';
import type { CounterTotals } from './counters.js';
import { destroy } from './session.js';

/* Interval between looks at the lanes; the shorter one applies while a lane waits behind a lock. */
const LOOK_MS = 500;
const WAITING_MS = 150;
/* How long a look in progress may take when the run ends. */
const STOP_MS = 2000;
/* Interval between trials on a table without disk space, and how long no trial may fail before it has space again. */
const RETRY_MS = 1000;
const ROOM_AFTER_MS = 3000;

/** A session of the run that waits for a table which another session has locked. */
interface Waiter {
  readonly pid: number;
  /** The label of the table, or of the table that the locked partition or index belongs to. */
  readonly label: string;
  readonly oid: number;
  readonly blocker: number;
  readonly program: string | null;
}

/* Only locks on tables: a lane waits for a row lock of another session, since the rest of the table stays writable. */
const WAITERS = `SELECT w.pid, l.relation::int8::text AS oid, b.pid AS blocker, b.application_name AS program,
    quote_ident(n.nspname) || '.' || quote_ident(t.relname) AS label
  FROM pg_stat_activity AS w
  JOIN pg_locks AS l ON l.pid = w.pid AND NOT l.granted AND l.locktype = 'relation'
  CROSS JOIN LATERAL (SELECT a.pid, a.application_name FROM unnest(pg_blocking_pids(w.pid)) AS p
    JOIN pg_stat_activity AS a ON a.pid = p WHERE NOT starts_with(a.application_name, $1) LIMIT 1) AS b
  LEFT JOIN pg_index AS i ON i.indexrelid = l.relation
  JOIN pg_class AS c ON c.oid = coalesce(i.indrelid, l.relation)
  JOIN pg_class AS t ON t.oid = coalesce(pg_partition_root(c.oid), c.oid)
  JOIN pg_namespace AS n ON n.oid = t.relnamespace
  WHERE w.application_name ~ ('^' || $1 || '[0-9]+$')`;

/* Lock modes that conflict with INSERT, UPDATE or DELETE. A session that waits for such a lock blocks us as well. */
const STILL_LOCKED = `SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
  WHERE l.relation = ANY ($2::oid[]) AND NOT starts_with(a.application_name, $1)
    AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') LIMIT 1`;

const CANCEL = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
  WHERE pid = ANY ($2) AND application_name ~ ('^' || $1 || '[0-9]+$') AND wait_event_type = 'Lock'`;

export interface BlockWatchOptions {
  readonly plan: Plan;
  readonly runId: string;
  readonly totals: CounterTotals;
  readonly blocked: BlockedTables;
  readonly connect: () => Promise<pg.Client>;
  readonly say: (text: string) => void;
}

/**
 * Finds tables that others keep from being written to. Lanes that wait for one are called back, and its operations are
 * skipped until it is free, so that the others keep their rate.
 */
export class BlockWatch {
  private readonly options: BlockWatchOptions;
  private readonly names: string;
  private client: pg.Client | null = null;
  private timer: NodeJS.Timeout;
  private looking: Promise<void> = Promise.resolve();
  private isOver = false;
  /** Locked tables by oid, with the time since when they are locked and their labels. */
  private readonly locked = new Map<string, { readonly sinceMs: number; readonly label: string }>();
  /** Relations without disk space: since when, and the time of the last rejection. */
  private readonly full = new Map<number, { readonly sinceMs: number; lastMs: number }>();

  constructor(options: BlockWatchOptions) {
    this.options = options;
    this.names = `eventgen/${options.runId}/`;
    this.timer = this.later(LOOK_MS);
  }

  /** Stops looking. */
  async stop(): Promise<void> {
    this.isOver = true;
    clearTimeout(this.timer);
    // Do not wait for a network that does not answer.
    await settledWithin(this.looking, STOP_MS);
    this.forget();
  }

  private later(ms: number): NodeJS.Timeout {
    const look = () =>
      this.look()
        .catch(() => this.forget())
        .finally(() => {
          if (this.isOver) this.forget();
          else this.timer = this.later(this.options.blocked.isWaiting ? WAITING_MS : LOOK_MS);
        });
    return setTimeout(() => {
      this.looking = look();
    }, ms).unref();
  }

  /* Called in an outage, or if no connection is free; the next look tries again. */
  private forget(): void {
    if (this.client !== null) destroy(this.client);
    this.client = null;
  }

  private async look(): Promise<void> {
    this.lookForRoom();
    const { blocked, totals } = this.options;
    // A table may have been blocked while the others were opened.
    if (this.locked.size === 0) for (const relation of blocked.by('lock')) blocked.open(relation);
    if (totals.scalar('lanesStalled') === 0 && this.locked.size === 0) return;
    this.client ??= await this.options.connect();
    const { rows } = await this.client.query<Waiter>(WAITERS, [this.names]);
    if (rows.length > 0) {
      blocked.isWaiting = true;
      for (const waiter of rows) this.note(waiter);
      await this.client.query(CANCEL, [this.names, rows.map(({ pid }) => pid)]);
      return;
    }
    if (this.locked.size === 0) return;
    const still = await this.client.query(STILL_LOCKED, [this.names, [...this.locked.keys()]]);
    if (still.rows.length === 0) this.unlocked();
  }

  private note({ oid, label, blocker, program }: Waiter & { oid: unknown }): void {
    const { plan, blocked, say } = this.options;
    const relation = plan.relations.findIndex((each) => each.label === label);
    if (relation >= 0) blocked.block(relation, 'lock');
    if (this.locked.has(String(oid))) return;
    const isSaid = [...this.locked.values()].some((each) => each.label === label);
    this.locked.set(String(oid), { sinceMs: performance.now(), label });
    const who = program === null || program === '' ? `process ${blocker}` : `process ${blocker}, "${program}"`;
    if (!isSaid)
      say(
        `${label} is locked by another session (${who}); operations that need it are skipped until the lock is released`,
      );
  }

  private unlocked(): void {
    const { blocked, say, totals } = this.options;
    const labels = [...new Set([...this.locked.values()].map(({ label }) => label))];
    const sinceMs = Math.min(...[...this.locked.values()].map((each) => each.sinceMs));
    this.locked.clear();
    blocked.isWaiting = false;
    for (const relation of blocked.by('lock')) blocked.open(relation);
    const skipped = totals.total('skipped').toLocaleString('en-US');
    say(`${labels.join(', ')}: no longer locked after ${seconds(sinceMs)} s; operations skipped so far: ${skipped}`);
  }

  private lookForRoom(): void {
    const { blocked, plan, say } = this.options;
    const nowMs = performance.now();
    for (const relation of blocked.by('room')) {
      const known = this.full.get(relation);
      if (known === undefined) {
        this.full.set(relation, { sinceMs: nowMs, lastMs: nowMs });
        say(
          `${plan.relations[relation]!.label}: the server's disk is full (53100); operations on this table are skipped, and one is tried every second`,
        );
      } else if (nowMs - known.lastMs >= RETRY_MS) {
        known.lastMs = nowMs;
        blocked.open(relation);
      }
    }
    for (const [relation, { sinceMs, lastMs }] of this.full) {
      if (blocked.has(relation) || nowMs - lastMs < ROOM_AFTER_MS) continue;
      this.full.delete(relation);
      say(`${plan.relations[relation]!.label}: the disk has room again after ${seconds(sinceMs)} s`);
    }
  }
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1000).toFixed(1);
}
