import type pg from 'pg';
import { parametersOf } from '../lane/bind.js';
import type { CompiledPlan } from '../lane/compiled.js';
import type { Operation, Statement } from '../lane/operation.js';
import type { Outcome } from '../lane/outcome.js';
import { Parameters } from '../lane/shape.js';
import type { Transaction } from '../lane/transaction.js';
import type { RelationPlan } from '../plan/plan.js';

/** What became of a transaction whose answer was lost. */
export interface Resolution {
  readonly transaction: Transaction;
  /** Its outcome, or null where it had no effect and is to be sent again. */
  readonly outcome: Outcome | null;
  /** False where neither could be proved. */
  readonly proved: boolean;
}

/**
 * Ends a backend of ours and waits until it has left: while it lives it may still execute what lay in its buffer, after
 * we have looked. `applicationName` guards against a process id that belongs to somebody else by now.
 */
export async function endBackend(
  client: pg.Client,
  processId: number,
  applicationName: string,
  timeoutMs: number,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  const text = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND application_name = $2';
  for (;;) {
    const { rowCount } = await client.query(text, [processId, applicationName]);
    if ((rowCount ?? 0) === 0) return;
    if (performance.now() > deadline) throw new Error(`backend ${processId} did not end within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Ends all backends of ours with these names, and waits until they have left, at most so long. */
export async function endBackends(client: pg.Client, names: readonly string[], timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  const text = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ANY ($1)';
  for (;;) {
    const { rowCount } = await client.query(text, [names]);
    if ((rowCount ?? 0) === 0 || performance.now() > deadline) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * Finds out which transactions of a lost connection took effect. One connection executes in order, so whatever lies
 * before one that is proved done was executed too: committed, unless its own effect can be looked up and is missing
 * (then it was refused, and is refused again when it is replayed).
 */
export async function resolveInDoubt(
  client: pg.Client,
  compiled: CompiledPlan,
  pending: readonly Transaction[],
): Promise<Resolution[]> {
  const resolutions: Resolution[] = [];
  let laterIsDone = false;
  const taken = new Set<Operation>();
  // What was sent again went out after its successors.
  for (const transaction of [...pending].reverse().sort((a, b) => b.sentMs - a.sentMs)) {
    // A row with its key may be the one that took the key over.
    const isTakenOver = transaction.members.some(
      ({ operation: { takenBy } }) => takenBy !== null && taken.has(takenBy),
    );
    const proof: Proof = isTakenOver
      ? { kind: 'done', returned: new Map() }
      : await prove(client, compiled, transaction);
    if (proof.kind === 'done') {
      laterIsDone = true;
      for (const { operation } of transaction.members) taken.add(operation);
    }
    const done = proof.kind === 'done' || (proof.kind === 'unknown' && laterIsDone);
    resolutions.push({
      transaction,
      outcome: done ? committed(transaction, proof.kind === 'done' ? proof.returned : new Map()) : null,
      proved: proof.kind !== 'unknown' || laterIsDone,
    });
  }
  return resolutions;
}

type Returned = ReadonlyMap<Statement, (string | null)[][]>;
type Proof =
  | { readonly kind: 'done'; readonly returned: Returned }
  | { readonly kind: 'not done' }
  | { readonly kind: 'unknown' };

function committed(transaction: Transaction, returned: Returned): Outcome {
  return {
    kind: 'committed',
    effects: transaction.members.map(({ operation: { statements } }) => ({
      rows: statements.map(({ rows }) => rows),
      returned: statements.map((statement) => returned.get(statement) ?? null),
    })),
  };
}

/*
 * A transaction is atomic: one statement without its effect speaks for all, and so does one whose effect nothing else can
 * have had. Values that an UPDATE writes may have stood there before: they count where all of them do. Where nothing
 * lasts, nothing can have been lost.
 */
async function prove(client: pg.Client, compiled: CompiledPlan, transaction: Transaction): Promise<Proof> {
  const lasting = transaction.members
    .filter((member) => transaction.lasts(member))
    .flatMap(({ operation: { bytes, statements } }) => statements.map((statement) => ({ bytes, statement })));
  if (lasting.length === 0) return { kind: 'not done' };
  const returned = new Map<Statement, (string | null)[][]>();
  let isSeen = false;
  let isCertain = false;
  // A row that a later statement writes again shows that one's values.
  const seen = new Set<string>();
  for (const { bytes, statement } of lasting.reverse()) {
    const row = `${statement.relation}/${statement.slots.join()}`;
    if (statement.kind === 'update' && statement.slots.length > 0) {
      if (seen.has(row)) continue;
      seen.add(row);
    }
    if (isCertain && !statement.shape.returnsRows) continue;
    const look = lookFor(compiled, bytes, statement);
    if (look === null) continue;
    const { rows } = await client.query({ text: look.text, values: [...look.values], rowMode: 'array' });
    const found = rows as (string | null)[][];
    if (statement.kind === 'delete' ? found.length > 0 : found.length < look.rows) return { kind: 'not done' };
    isSeen = true;
    isCertain ||= look.isCertain;
    if (statement.shape.returnsRows) returned.set(statement, found.slice(0, statement.rows));
  }
  return isSeen ? { kind: 'done', returned } : { kind: 'unknown' };
}

/** A question whose answer shows a statement's effect: rows as its RETURNING would have read them; of a DELETE, the row. */
interface Look {
  readonly text: string;
  readonly values: readonly (string | null)[];
  /** Rows that it must find. */
  readonly rows: number;
  /** False where rows might have looked like that before. */
  readonly isCertain: boolean;
}

function lookFor(compiled: CompiledPlan, bytes: Buffer, statement: Statement): Look | null {
  if (compiled.plan.rowSelection === 'system_rows' && statement.kind !== 'insert') return null;
  const { plan } = compiled.relations[statement.relation]!;
  const all = parametersOf(bytes, statement);
  switch (statement.kind) {
    case 'insert': {
      // Rows of other tables in the same statement come first; its own speak for them.
      const own = statement.also.length > 0 ? statement.rows * statement.written.length : all.length;
      return lookForInsert(plan, statement.written, all.slice(all.length - own), statement.reusesKey);
    }
    case 'update': {
      if (plan.key.length === 0) return lookForPlace(plan, statement.written, all);
      return statement.successor >= 0
        ? lookForInsert(plan, plan.rekeyed, all.slice(0, plan.rekeyed.length), false)
        : lookForUpdate(plan, statement.written, all);
    }
    case 'delete':
      return lookForDelete(plan, all);
  }
}

/** An INSERT by the first row's key (with all its values where another row had that key before); where the server makes the key or there is none, by the values that were written of every row. */
function lookForInsert(
  plan: RelationPlan,
  written: readonly number[],
  values: readonly (string | null)[],
  reusesKey: boolean,
): Look | null {
  const width = written.length;
  if (width === 0) return null;
  const parameters = new Parameters();
  const sent: (string | null)[] = [];
  const named =
    plan.key.length > 0 && plan.returned.length === 0 && plan.key.every((column) => written.includes(column));
  // Parents that were sampled are not known, and a few of a row's values may stand in another one.
  if (
    !named &&
    plan.insertColumns.some((column) => !written.includes(column) && plan.columns[column]!.source === 'foreign')
  )
    return null;
  const selects: string[] = [];
  const alike = new Map<string, number>();
  for (let at = 0; at < (named ? width : values.length); at += width) {
    const conditions = written.flatMap((column, index) => {
      const isKey = plan.key.includes(column);
      if (named && !isKey && !reusesKey) return [];
      sent.push(values[at + index]!);
      return [sameText(plan, column, parameters, named && isKey)];
    });
    const row = JSON.stringify(values.slice(at, at + width));
    const skipped = alike.get(row) ?? 0;
    alike.set(row, skipped + 1);
    const order = named ? '' : NEWEST_FIRST;
    selects.push(
      `(SELECT ${returningOf(plan)} FROM ${plan.rows} AS t WHERE ${conditions.join(' AND ')}${order} OFFSET ${skipped} LIMIT 1)`,
    );
  }
  return { text: selects.join(' UNION ALL '), values: sent, rows: selects.length, isCertain: named };
}

/** An UPDATE by comparing the row with the values sent. */
function lookForUpdate(plan: RelationPlan, written: readonly number[], values: readonly (string | null)[]): Look {
  const parameters = new Parameters();
  const conditions = [
    ...written.map((column) => sameText(plan, column, parameters, false)),
    ...plan.key.map((column) => sameText(plan, column, parameters, true)),
  ];
  return {
    text: `SELECT ${returningOf(plan)} FROM ${plan.rows} AS t WHERE ${conditions.join(' AND ')} LIMIT 1`,
    values,
    rows: 1,
    isCertain: false,
  };
}

/** An UPDATE of a row without a key: it has left its place, and the newest row with the values sent is where it is now. */
function lookForPlace(plan: RelationPlan, written: readonly number[], values: readonly (string | null)[]): Look {
  const parameters = new Parameters();
  const conditions = written.map((column) => sameText(plan, column, parameters, false));
  const before = `SELECT FROM ${plan.rows} AS t WHERE ${atPlace(parameters)}`;
  return {
    text: `SELECT ${returningOf(plan)} FROM ${plan.rows} AS t WHERE ${conditions.join(' AND ')} AND NOT EXISTS (${before})${NEWEST_FIRST} LIMIT 1`,
    values,
    rows: 1,
    isCertain: true,
  };
}

/* Rows that look alike may stand there from before; what has just been written is younger. */
const NEWEST_FIRST = ' ORDER BY age(t.xmin)';

function atPlace(parameters: Parameters): string {
  return `t.ctid = ${parameters.next()}::tid AND hashtextextended(t::text, 0) = ${parameters.next()}::bigint`;
}

/** A DELETE by the row's absence. */
function lookForDelete(plan: RelationPlan, values: readonly (string | null)[]): Look {
  const parameters = new Parameters();
  const conditions =
    plan.key.length === 0
      ? atPlace(parameters)
      : plan.key.map((column) => sameText(plan, column, parameters, true)).join(' AND ');
  return { text: `SELECT 1 FROM ${plan.rows} AS t WHERE ${conditions}`, values, rows: 0, isCertain: true };
}

/* By text, since json and some others have no equality; keys by =, so that their index is used. */
function sameText(plan: RelationPlan, column: number, parameters: Parameters, byIndex: boolean): string {
  const { sql, typeName } = plan.columns[column]!;
  if (byIndex) return `t.${sql} = ${parameters.next()}::${typeName}`;
  return `t.${sql}::text IS NOT DISTINCT FROM ${parameters.next()}::${typeName}::text`;
}

function returningOf(plan: RelationPlan): string {
  if (plan.key.length === 0) return 't.ctid::text, hashtextextended(t::text, 0)::text';
  if (plan.returned.length === 0) return "'1'";
  return plan.returned.map((column) => `t.${plan.columns[column]!.sql}::text`).join(', ');
}
