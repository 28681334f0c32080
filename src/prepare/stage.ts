import pg from 'pg';
import { SetupError } from '../config/problem.js';
import { Operation } from '../lane/messages/operation.js';
import type { Outcome } from '../lane/messages/outcome.js';
import { Transaction } from '../lane/messages/transaction.js';
import { OwnedRows } from '../lane/owned.js';
import type { Claims } from '../lane/rows/claims.js';
import { CompiledPlan } from '../lane/rows/compiled.js';
import { RowStore } from '../lane/rows/row-store.js';
import type { OperationKind, Plan } from '../plan/plan.js';
import { LaneSession, refusedBy } from '../traffic/lane-session.js';

const MOST_PREPARED = 200;
/* The most trials in one transaction, because its rows hold unique keys and locks against the application. */
const MOST_TRIALS = 300;
const MOST_MS = 2000;

/** An operation that was executed, and how to write it again. */
export interface Played {
  readonly relation: number;
  readonly kind: OperationKind;
  readonly attempt: number;
  readonly write: (operation: Operation) => boolean;
  /** True if its rows stay on the stage; otherwise only its ordinals are used up. */
  readonly stays: boolean;
}

/** The rows that a transaction has changed so far, by oid of the table (for a partition, of its root). */
export type Changes = ReadonlyMap<
  number,
  { readonly inserted: number; readonly updated: number; readonly deleted: number }
>;

/** A session like a lane's for trying operations, with a plan and the trials' rows. Everything is rolled back. */
export class Stage {
  rows: OwnedRows;
  store: RowStore;
  compiled: CompiledPlan;
  private readonly client: pg.Client;
  private readonly session: LaneSession;
  private readonly claims: readonly Claims[];
  /** Rejects when the connection is lost. */
  private readonly lost: Promise<never>;
  private readonly clock: () => number;
  private trials = 0;
  private beganMs = 0;
  private isOpen = false;
  /** Operations executed since the stage was empty. */
  private played: Played[] = [];

  private constructor(client: pg.Client, plan: Plan, claims: readonly Claims[], clock: () => number) {
    this.client = client;
    this.claims = claims;
    this.clock = clock;
    let lose: (reason: string) => void = () => undefined;
    this.lost = new Promise<never>((_, reject) => {
      lose = (reason) => reject(SetupError.of('the rehearsal', `the connection was lost (${reason}); try again`));
    });
    this.lost.catch(() => undefined);
    this.session = new LaneSession(client, MOST_PREPARED, {
      onLost: (reason) => lose(reason),
      onReceipt: () => undefined,
    });
    this.compiled = new CompiledPlan(plan);
    this.store = new RowStore(this.compiled, 0, claims);
    this.rows = new OwnedRows(this.compiled, this.store);
  }

  static async open(
    connectLike: () => Promise<pg.Client>,
    plan: Plan,
    claims: readonly Claims[],
    clock: () => number,
  ): Promise<Stage> {
    return new Stage(await connectLike(), plan, claims, clock);
  }

  /** Switches to another plan, with an empty stage. */
  async use(plan: Plan): Promise<void> {
    await this.end();
    this.compiled = new CompiledPlan(plan, this.compiled.shapes.count);
  }

  /**
   * A transaction that is open for a further table: the one before, or an empty one after so many trials. Where it has
   * lasted too long the same rows are inserted again in another one: the clock has no say in what a trial meets.
   */
  async begin(): Promise<void> {
    const isSpent = !this.isOpen || this.trials >= MOST_TRIALS;
    if (!isSpent && this.clock() - this.beganMs < MOST_MS) return;
    await this.end();
    this.store = new RowStore(this.compiled, 0, this.claims);
    this.rows = new OwnedRows(this.compiled, this.store);
    this.beganMs = this.clock();
    await this.query('BEGIN');
    this.isOpen = true;
    const { trials } = this;
    if (isSpent) this.played = [];
    for (const each of this.played) await this.repeat(each);
    this.trials = isSpent ? 0 : trials;
  }

  /** Remembers an operation, so that it can be repeated in a new transaction. */
  remember(played: Played): void {
    this.played.push(played);
  }

  private async repeat({ relation, kind, attempt, write, stays }: Played): Promise<void> {
    const operation = new Operation(0, relation, kind, kind);
    operation.attempt = attempt;
    if (!write(operation)) return;
    if (stays) await this.carryOut(operation, true);
    else this.rows.undone(operation, false);
  }

  private async end(): Promise<void> {
    if (this.isOpen) await this.query('ROLLBACK');
    this.isOpen = false;
  }

  /**
   * Carries an operation out within a savepoint, as a lane would, and has deferred constraints looked at. `keeps`: its
   * rows stay for the trials that follow; otherwise, and where it is refused, they do not.
   */
  async carryOut(operation: Operation, keeps: boolean): Promise<Outcome> {
    this.trials++;
    await this.query('SAVEPOINT trial');
    const sent = new Promise<Outcome>((resolve) => this.session.sendAlone(Transaction.of(operation), resolve));
    const outcome = await this.checked(await Promise.race([sent, this.lost]));
    if (outcome.kind === 'committed' && keeps) {
      await this.query('RELEASE SAVEPOINT trial');
      this.rows.applied(operation, outcome.effects[0]!);
    } else {
      await this.query('ROLLBACK TO SAVEPOINT trial; RELEASE SAVEPOINT trial');
      this.rows.undone(operation, false);
    }
    return outcome;
  }

  private async checked(outcome: Outcome): Promise<Outcome> {
    if (outcome.kind !== 'committed') return outcome;
    try {
      await this.query('SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED');
      return outcome;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      return refusedBy(error, 0);
    }
  }

  /** Returns the rows changed by the transaction, including rolled-back savepoints; only differences are meaningful. */
  async changes(): Promise<Changes> {
    const { rows } = await this.query<{ oid: string; inserted: string; updated: string; deleted: string }>(CHANGES);
    return new Map(
      rows.map((row) => [
        Number(row.oid),
        { inserted: Number(row.inserted), updated: Number(row.updated), deleted: Number(row.deleted) },
      ]),
    );
  }

  /** Returns the texts of the single column of a query; none if the server rejects it. */
  async ask(text: string, values: readonly unknown[] = []): Promise<(string | null)[]> {
    await this.query('SAVEPOINT question');
    try {
      const { rows } = await this.query<Record<string, string | null>>(text, [...values]);
      await this.query('RELEASE SAVEPOINT question');
      return rows.map((row) => Object.values(row)[0] ?? null);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      await this.query('ROLLBACK TO SAVEPOINT question; RELEASE SAVEPOINT question');
      return [];
    }
  }

  private async query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<Row>> {
    return await Promise.race([this.client.query<Row>(text, values), this.lost]);
  }

  async close(): Promise<void> {
    // The server rolls back whatever is open.
    await this.session.close();
  }
}

/* User tables only, so that thousands of catalog tables are not read. */
const CHANGES = `
SELECT coalesce(pg_partition_root(relid)::oid, relid)::int8::text AS oid, sum(n_tup_ins)::text AS inserted, sum(n_tup_upd)::text AS updated,
       sum(n_tup_del)::text AS deleted
FROM pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 GROUP BY 1`;
