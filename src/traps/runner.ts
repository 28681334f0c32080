import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { TrapName } from '../config/schema.js';
import { cumulate, indexAt } from '../random/choice.js';
import type { Seed } from '../random/seed.js';
import { split } from '../random/seed.js';
import { Stream } from '../random/stream.js';
import { namingOf, type TrapTransaction, trapOf } from './catalogue.js';

/** What became of a trap's times. */
export interface TrapCounts {
  /** Times that were carried out as a whole. */
  done: number;
  /** Transactions that the server refused. */
  refused: number;
  /** Transactions of which it is not known whether they were committed. */
  unknown: number;
  /** Changes by committed transactions, as a consumer sees them. */
  readonly events: { insert: number; update: number; delete: number; truncate: number };
}

export interface TrapOptions {
  /** Trap → weight. */
  readonly weights: ReadonlyMap<TrapName, number>;
  readonly schema: string;
  /** Between the end of one and the next. */
  readonly intervalMs: number;
  readonly seed: Seed;
  /** A session of its own for each connection. */
  readonly connect: () => Promise<pg.Client>;
  readonly report: (text: string) => void;
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;
const RETRY_MS = 1000;
const HELD_MS = 200;
const END_MS = 10_000;

/**
 * Springs traps beside the traffic, one after the other, on tables of their own. Every transaction tells its id before it is committed, so that what became of it is
 * known also where the answer was lost.
 */
export class TrapRunner {
  readonly counts = new Map<TrapName, TrapCounts>();
  private readonly options: TrapOptions;
  private readonly names: readonly TrapName[];
  private readonly cumulative: readonly number[];
  private point: number;
  private readonly times = new Map<TrapName, number>();
  private client: pg.Client | null = null;
  private isOver = false;
  private wake: () => void = () => undefined;
  private isHeld: () => boolean = () => false;
  private running: Promise<void> = Promise.resolve();

  constructor(options: TrapOptions) {
    this.options = options;
    this.names = [...options.weights.keys()];
    this.cumulative = cumulate([...options.weights.values()]);
    this.point = Stream.of(split(options.seed, 'traps')).fraction();
    for (const name of this.names)
      this.counts.set(name, {
        done: 0,
        refused: 0,
        unknown: 0,
        events: { insert: 0, update: 0, delete: 0, truncate: 0 },
      });
  }

  /** `isHeld`: true while there is to be no load. */
  start(isHeld: () => boolean): void {
    this.isHeld = isHeld;
    this.running = this.run();
  }

  /** The trap that is being sprung is finished, at most for some seconds. */
  async end(): Promise<void> {
    this.isOver = true;
    this.wake();
    const patience = new AbortController();
    await Promise.race([this.running, sleep(END_MS, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
    await this.client?.end().catch(() => undefined);
  }

  private async run(): Promise<void> {
    while (!this.isOver) {
      // By the golden ratio's multiples, which visit the weights evenly: none is left out of a short run.
      this.point = (this.point + GOLDEN) % 1;
      const name = this.names[indexAt(this.cumulative, this.point)]!;
      const n = (this.times.get(name) ?? 0) + 1;
      const { most } = trapOf(name);
      if (most === undefined || n <= most) {
        this.times.set(name, n);
        await this.spring(name, n);
        if (n === most)
          this.options.report(`trap ${name} has run ${n} times, the most that its table allows; it stops here`);
      }
      await this.rest(this.options.intervalMs);
      while (this.isHeld() && !this.isOver) await this.rest(HELD_MS);
    }
  }

  /** So long, or until the end. */
  private async rest(ms: number): Promise<void> {
    if (this.isOver) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private async spring(name: TrapName, n: number): Promise<void> {
    const counts = this.counts.get(name)!;
    const { schema, report } = this.options;
    for (const transaction of trapOf(name).transactions(namingOf(schema, name), n)) {
      const outcome = await this.carryOut(transaction, counts);
      if (outcome === 'committed')
        for (const [kind, amount] of Object.entries(transaction.events) as [keyof TrapCounts['events'], number][])
          counts.events[kind] += amount;
      else {
        if (outcome === 'unknown') counts.unknown++;
        else counts.refused++;
        report(`trap ${name}: ${outcome === 'unknown' ? 'the outcome of a transaction is unknown' : outcome}`);
        return;
      }
    }
    counts.done++;
  }

  /** 'committed', 'unknown', or why the server has refused it. */
  private async carryOut({ statements, pauseMs = 0, clears }: TrapTransaction, counts: TrapCounts): Promise<string> {
    let xid: string | null = null;
    let isSent = false;
    let cleared = 0;
    try {
      this.client ??= await this.options.connect();
      const { client } = this;
      await client.query('BEGIN');
      const { rows } = await client.query<{ xid: string }>('SELECT pg_catalog.pg_current_xact_id()::text AS xid');
      xid = rows[0]!.xid;
      for (const [index, statement] of statements.entries()) {
        if (index === statements.length - 1 && pauseMs > 0) await sleep(pauseMs);
        const { rowCount } = await client.query(statement);
        if (clears === true) cleared += rowCount ?? 0;
      }
      isSent = true;
      await client.query('COMMIT');
      counts.events.delete += cleared;
      return 'committed';
    } catch (error) {
      const { message, severity } = error as pg.DatabaseError;
      if (severity === 'ERROR') {
        await this.client?.query('ROLLBACK').catch(() => this.lose());
        return message;
      }
      this.lose();
      const outcome = isSent && xid !== null ? await this.lookUp(xid) : message;
      if (outcome === 'committed') counts.events.delete += cleared;
      return outcome;
    }
  }

  /** What became of a transaction whose answer was lost. */
  private async lookUp(xid: string): Promise<string> {
    while (!this.isOver) {
      try {
        this.client ??= await this.options.connect();
        const { rows } = await this.client.query<{ status: string | null }>(
          'SELECT pg_catalog.pg_xact_status($1::xid8) AS status',
          [xid],
        );
        const status = rows[0]?.status;
        if (status === 'committed') return 'committed';
        if (status === 'aborted') return 'the connection was lost before the commit';
        if (status === null) return 'unknown';
      } catch {
        this.lose();
      }
      await sleep(RETRY_MS);
    }
    return 'unknown';
  }

  private lose(): void {
    this.client?.end().catch(() => undefined);
    this.client = null;
  }
}
