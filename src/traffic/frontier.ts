import type pg from 'pg';
import type { LanePast } from '../history/lane-log.js';
import { replay } from '../history/replay.js';
import type { Lane } from '../lane/lane.js';
import type { RowRef, Statement } from '../lane/messages/operation.js';
import type { Member, Transaction } from '../lane/messages/transaction.js';
import type { CompiledPlan } from '../lane/rows/compiled.js';
import { type Look, lookFor } from './evidence.js';
import { statusOf } from './recovery.js';

/* Number of later transactions that are generated as well: rows that they change prove nothing about the one that is judged. */
const AHEAD = 2000;
/* Number of steps that are judged together, because each would cost a round trip alone. */
const TOGETHER = 100;
/* Updates beyond a transaction without effect that show their values before they count: a few may have had them by chance. */
const ENOUGH_HINTS = 8;

/** A statement's effect, as it is looked up. */
interface Trace {
  readonly look: Look;
  readonly kind: Statement['kind'];
  /** The names of the rows that it wrote. */
  readonly rows: readonly string[];
  /** The trace proves something only if this step was executed: before it, the table looked the same. −1: always. */
  readonly needs: number;
}

interface Step {
  readonly number: number;
  /** True where the log tells its outcome. */
  readonly isKnown: boolean;
  /** Its id, where the log has its receipt. */
  readonly xid: string | null;
  readonly traces: readonly Trace[];
}

/** What the database says of a transaction; `unclear` where later ones may have covered its traces, or it leaves none. */
type Verdict = 'done' | 'hint' | 'not done' | 'unclear';

const EXECUTED: readonly Verdict[] = ['done', 'hint'];

const UNKNOWN = { end: Number.POSITIVE_INFINITY, executed: 0 };

/** How far a lane came, by numbers of transactions; Infinity if it has nothing to do there. */
export interface Found {
  /** Everything before this one was executed, and the log holds its exceptions. */
  readonly before: number;
  /** Nothing was executed from this one on. Exceptions of transactions between the two may be missing in the log. */
  readonly end: number;
  /** Those between the two that failed. */
  readonly failed: ReadonlySet<number>;
  /** True if everything before the progress is there: the log is trusted, or a row that was inserted later is there. */
  readonly isProved: boolean;
}

/**
 * Finds out how far a process came that ended without saying so. Its progress tells where a lane was up to a second before.
 * From there the lane is played on, with every transaction as it was intended, and its effects are looked up: what is
 * executed on one connection is executed in order.
 */
export class Frontier {
  private readonly lane: Lane;
  private readonly compiled: CompiledPlan;
  private readonly sinceXid: string;
  private readonly course: Generator<Transaction, void>;
  private readonly past: LanePast;
  private readonly applied: number;
  /** False where the log may tell of transactions that the server has lost. */
  private readonly trustsLog: boolean;
  private readonly steps: Step[] = [];
  /** What was found of steps, and how many steps there were then: later ones may change the same rows. */
  private readonly verdicts = new Map<number, { readonly verdict: Verdict; readonly among: number }>();
  private isOver = false;
  /** By relation and slot: how many rows have been in the slot since the progress. */
  private readonly lives = new Map<string, number>();
  /** By row: the step that inserted it since the progress, and the one that deleted it or gave it another key. */
  private readonly born = new Map<string, number>();
  private readonly gone = new Map<string, number>();
  /** By row: the steps that change it, in order. */
  private readonly changes = new Map<string, number[]>();

  /** `lane`: one for this purpose alone. `applied`: the operations whose outcomes had been applied when progress was told. */
  constructor(
    lane: Lane,
    compiled: CompiledPlan,
    past: LanePast,
    { applied, sinceXid, trustsLog }: { applied: number; sinceXid: string; trustsLog: boolean },
  ) {
    this.trustsLog = trustsLog;
    this.lane = lane;
    this.compiled = compiled;
    this.past = past;
    this.applied = applied;
    this.sinceXid = sinceXid;
    this.course = replay(lane, past);
  }

  /** Finds how far the lane came. `client`: a session that sends without waiting for answers. `depth`: how many transactions were in flight at most. */
  async find(client: pg.Client, depth: number): Promise<Found> {
    const missing = await this.firstMissing(client, depth);
    // When one failed, later ones were already in flight.
    const most = Math.min(this.steps.length, missing + depth);
    let end = most;
    // What is covered by steps that were not executed, either, becomes clear without these.
    while (end > 0 && !EXECUTED.includes(await this.judge(client, end - 1, { end, executed: 0 }))) end--;
    for (let at = end; at < most; at++)
      if (EXECUTED.includes(await this.judge(client, at, { end: at + 1, executed: end }))) end = at + 1;
    // An exception goes out in front of whatever is sent when its turn has come, which is so many transactions later.
    const before = Math.max(0, end - depth);
    const failed = new Set<number>();
    for (let at = before; at < end; at++)
      if ((await this.judge(client, at, { end, executed: end })) === 'not done') failed.add(this.steps[at]!.number);
    const numberOf = (at: number) => this.steps[at]?.number ?? this.past.end ?? Number.POSITIVE_INFINITY;
    return {
      before: numberOf(before),
      end: numberOf(end),
      failed,
      isProved: this.trustsLog || (await this.isProved(client, end)),
    };
  }

  /* A row that is gone may have been lost before it was deleted. One that is there is no accident. */
  private async isProved(client: pg.Client, end: number): Promise<boolean> {
    for (let at = end - 1; at >= Math.max(0, end - AHEAD); at--)
      for (const { look, kind, rows } of this.steps[at]!.traces) {
        const isChanged = rows.some((row) => this.changes.get(row)?.some((change) => change > at && change < end));
        if (kind !== 'insert' || look.found !== 'proof' || isChanged) continue;
        const { rowCount } = await client.query({ text: look.text, values: [...look.values] });
        if ((rowCount ?? 0) >= look.rows) return true;
      }
    return false;
  }

  private async firstMissing(client: pg.Client, depth: number): Promise<number> {
    let executed = -1;
    for (let at = 0; ; at++) {
      this.playTo(at + AHEAD + TOGETHER);
      // Some statements leave no traces, and a lane may have only such statements.
      if (at >= this.steps.length || at - executed > AHEAD) return at;
      const verdict = await this.verdictOf(client, at);
      if (EXECUTED.includes(verdict)) executed = at;
      if (verdict !== 'not done') continue;
      const beyond = await this.doneBeyond(client, at + depth);
      if (beyond === null) return at;
      at = beyond;
    }
  }

  /* What was sent behind a transaction that has failed is at most the depth of the pipeline away. */
  private async doneBeyond(client: pg.Client, from: number): Promise<number | null> {
    let hints = 0;
    let missing = 0;
    for (let at = from; at < Math.min(this.steps.length, from + AHEAD); at++) {
      const verdict = await this.verdictOf(client, at);
      if (verdict === 'done') return at;
      if (verdict === 'hint') hints++;
      if (verdict === 'not done') missing++;
      if (hints >= ENOUGH_HINTS && hints > missing) return at;
    }
    return null;
  }

  private playTo(end: number): void {
    while (!this.isOver && this.steps.length < end) {
      const { done, value } = this.course.next();
      if (done === true) this.isOver = true;
      else if (value.number + value.members.length > this.applied) this.take(value);
    }
  }

  private take(transaction: Transaction): void {
    const known = this.past.outcomeOf(transaction) ?? null;
    const at = this.steps.length;
    const isRefused = known !== null && known.kind === 'refused';
    const lasting = isRefused ? [] : transaction.members.filter((member) => transaction.lasts(member));
    // What a later statement of the same transaction changes again, such as a key that is deleted and inserted, tells nothing.
    const traces = lasting
      .flatMap((member) => member.operation.statements.map((statement) => ({ member, statement })))
      .flatMap(({ member, statement }) => {
        const found = this.traceOf(transaction, member, statement, at);
        return found.map((trace) => ({ trace, changed: this.changesOf(trace) }));
      })
      .filter(({ trace, changed }) => this.changesOf(trace) === changed)
      .map(({ trace }) => trace);
    const xid = this.past.receiptOf(transaction)?.xid ?? null;
    this.steps.push({ number: transaction.number, isKnown: known !== null, xid, traces });
  }

  private traceOf(transaction: Transaction, { operation }: Member, statement: Statement, at: number): Trace[] {
    const { relation, kind, slots, also, successor, cascade } = statement;
    const own = slots.map((slot) => ({ relation, slot }));
    // Before its rows get names, because an INSERT makes new ones.
    if (kind === 'insert') for (const row of [...own, ...rowsOf(also)]) this.bear(row, at);
    if (successor >= 0) this.bear({ relation, slot: successor }, at);
    const changed = [...own, ...(cascade?.deleted ?? []), ...(cascade?.nulled ?? [])];
    for (const row of changed) this.note(row, at);
    const witness = successor >= 0 ? { relation, slot: successor } : own[0];
    if (successor >= 0) this.note({ relation, slot: successor }, at);
    // What is absent may not have come yet, and what is there may not have gone yet.
    const [rows, before] = kind === 'delete' ? [own, this.born] : [witness === undefined ? [] : [witness], this.gone];
    const needs = Math.max(-1, ...rows.map((row) => before.get(this.nameOf(row)) ?? -1));
    const isGone = kind === 'delete' || successor >= 0;
    for (const row of [...(isGone ? own : []), ...(cascade?.deleted ?? [])]) this.gone.set(this.nameOf(row), at);
    if (transaction.needsReceipt || witness === undefined || operation.takenBy !== null) return [];
    const { bytes } = operation;
    if (kind === 'update' && successor < 0)
      return own.flatMap((row) => {
        const look = lookFor(this.compiled, bytes, statement, this.sinceXid, (slot) => slot !== row.slot);
        return look === null ? [] : { look, kind, rows: [this.nameOf(row)], needs };
      });
    const look = lookFor(this.compiled, bytes, statement, this.sinceXid, () => false);
    if (look === null) return [];
    return [{ look, kind, rows: rows.map((row) => this.nameOf(row)), needs }];
  }

  private changesOf({ rows }: Trace): number {
    return rows.reduce((sum, row) => sum + (this.changes.get(row)?.length ?? 0), 0);
  }

  private note(row: RowRef, at: number): void {
    const name = this.nameOf(row);
    const found = this.changes.get(name);
    if (found === undefined) this.changes.set(name, [at]);
    else found.push(at);
  }

  private bear(row: RowRef, at: number): void {
    const place = placeOf(row);
    this.lives.set(place, (this.lives.get(place) ?? 0) + 1);
    this.born.set(this.nameOf(row), at);
  }

  /** A row's name: by its key; without one, a slot that is used again is another row. */
  private nameOf(row: RowRef): string {
    const key = this.lane.keyOf(row);
    if (key.length > 0 && key.every((text) => text !== null && text !== ''))
      return `${row.relation}/${key.join('\u0000')}`;
    const place = placeOf(row);
    return `${place}//${this.lives.get(place) ?? 0}`;
  }

  /** Judges a step, and those after it as well: they are asked for next. */
  private async verdictOf(client: pg.Client, at: number): Promise<Verdict> {
    const among = this.steps.length;
    const known = this.verdicts.get(at);
    if (known !== undefined && known.among >= Math.min(among, at + AHEAD)) return known.verdict;
    const next = Array.from({ length: Math.min(TOGETHER, among - at) }, (_, index) => at + index);
    const verdicts = await Promise.all(next.map((step) => this.judge(client, step)));
    for (const [index, verdict] of verdicts.entries()) this.verdicts.set(at + index, { verdict, among });
    return verdicts[0]!;
  }

  /** `end`: steps from there on were not executed; `executed`: those before it were. */
  private async judge(client: pg.Client, at: number, { end, executed } = UNKNOWN): Promise<Verdict> {
    const step = this.steps[at]!;
    if (step.isKnown && this.trustsLog) return 'done';
    if (step.xid !== null && this.trustsLog) {
      const status = await statusOf(client, step.xid);
      if (status !== null) return status === 'committed' ? 'done' : 'not done';
    }
    let verdict: Verdict = 'unclear';
    for (const { look, kind, rows, needs } of step.traces) {
      if (rows.some((row) => this.changes.get(row)?.some((change) => change > at && change < end))) continue;
      const { rowCount } = await client.query({ text: look.text, values: [...look.values] });
      const found = rowCount ?? 0;
      const isMissing = kind === 'delete' ? found > 0 : found < look.rows;
      // A transaction is executed as a whole or not at all.
      if (isMissing && look.missing === 'proof') return 'not done';
      if (isMissing || needs >= executed) continue;
      if (look.found === 'proof') verdict = 'done';
      else if (verdict === 'unclear') verdict = 'hint';
    }
    return verdict;
  }
}

function rowsOf(also: Statement['also']): RowRef[] {
  return also.flatMap(({ relation, slots }) => slots.map((slot) => ({ relation, slot })));
}

function placeOf({ relation, slot }: RowRef): string {
  return `${relation}/${slot}`;
}
