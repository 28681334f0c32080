import type pg from 'pg';
import type { CompiledPlan } from '../lane/compiled.js';
import type { Outcome } from '../lane/outcome.js';
import { Parameters } from '../lane/shape.js';
import { parametersOf } from '../lane/bind.js';
import type { Statement } from '../lane/operation.js';
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
  // What was sent again went out after its successors.
  for (const transaction of [...pending].reverse().sort((a, b) => b.sentMs - a.sentMs)) {
    const proof = await prove(client, compiled, transaction);
    if (proof.kind === 'done') laterIsDone = true;
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
 * A transaction is atomic: its last statement that lasts speaks for all, unless the keyspace needs what others returned.
 * Where none lasts nothing can have been lost.
 */
async function prove(client: pg.Client, compiled: CompiledPlan, transaction: Transaction): Promise<Proof> {
  const returned = new Map<Statement, (string | null)[][]>();
  const lasting = transaction.members
    .filter((member) => transaction.lasts(member))
    .flatMap(({ operation: { bytes, statements } }) => statements.map((statement) => ({ bytes, statement })));
  let verdict: Proof = { kind: lasting.length === 0 ? 'not done' : 'unknown' };
  for (const [index, { bytes, statement }] of [...lasting.entries()].reverse()) {
    const isLast = index === lasting.length - 1;
    if (!isLast && !statement.shape.returnsRows) continue;
    const found = await look(client, compiled, bytes, statement);
    if (found === 'unknown') return { kind: 'unknown' };
    if (isLast && found === null) return { kind: 'not done' };
    if (isLast) verdict = { kind: 'done', returned };
    if (found !== null && statement.shape.returnsRows) returned.set(statement, found);
  }
  return verdict;
}

/** Rows that show the statement's effect (what its RETURNING would have read), null where it had none. */
async function look(
  client: pg.Client,
  compiled: CompiledPlan,
  bytes: Buffer,
  statement: Statement,
): Promise<(string | null)[][] | null | 'unknown'> {
  if (compiled.plan.rowSelection === 'system_rows' && statement.kind !== 'insert') return 'unknown';
  const { plan } = compiled.relations[statement.relation]!;
  const all = parametersOf(bytes, statement);
  // Rows of other tables in the same statement come first; its own speak for them.
  const own = statement.also.length > 0 ? statement.rows * plan.insertColumns.length : all.length;
  const values = all.slice(all.length - own);
  const query =
    statement.kind === 'insert'
      ? lookForInsert(plan, values)
      : statement.successor >= 0
        ? lookForInsert({ ...plan, insertColumns: plan.rekeyed }, values.slice(0, plan.rekeyed.length))
        : statement.kind === 'update'
          ? lookForUpdate(plan, statement, values)
          : lookForDelete(plan, values);
  if (query === null) return 'unknown';
  const { rows } = await client.query({ text: query.text, values: query.values, rowMode: 'array' });
  const found = rows as (string | null)[][];
  if (statement.kind === 'delete') return found.length === 0 ? [] : null;
  if (found.length === 0) return null;
  // Rows that only their values name: more of them than were written means that equal ones stood there before.
  return found.slice(0, statement.rows);
}

interface Look {
  readonly text: string;
  readonly values: (string | null)[];
}

/** An INSERT by the first row's key; where the server makes the key or there is none, by the values of every row. */
function lookForInsert(plan: RelationPlan, values: readonly (string | null)[]): Look | null {
  const width = plan.insertColumns.length;
  if (width === 0) return null;
  const parameters = new Parameters();
  const sent: (string | null)[] = [];
  const named = plan.key.length > 0 && plan.returned.length === 0;
  const selects: string[] = [];
  for (let at = 0; at < (named ? width : values.length); at += width) {
    const conditions = plan.insertColumns.flatMap((column, index) => {
      if (named && !plan.key.includes(column)) return [];
      sent.push(values[at + index]!);
      return [sameText(plan, column, parameters, named)];
    });
    selects.push(`(SELECT ${returningOf(plan)} FROM ${plan.rows} AS t WHERE ${conditions.join(' AND ')} LIMIT 1)`);
  }
  return { text: selects.join(' UNION ALL '), values: sent };
}

/** An UPDATE by comparing the row with the values sent; a row without a key has moved, so it is found by them. */
function lookForUpdate(plan: RelationPlan, statement: Statement, values: readonly (string | null)[]): Look {
  const set = plan.updateSets.find((candidate) =>
    statement.shape.sql.includes(` SET ${assignments(plan, candidate)} WHERE `),
  )!;
  const parameters = new Parameters();
  const conditions = set.map((column) => sameText(plan, column, parameters, false));
  const sent = values.slice(0, set.length);
  if (plan.key.length > 0) {
    for (const [index, column] of plan.key.entries()) {
      conditions.push(sameText(plan, column, parameters, true));
      sent.push(values[set.length + index]!);
    }
  }
  return {
    text: `SELECT ${returningOf(plan)} FROM ${plan.rows} AS t WHERE ${conditions.join(' AND ')} LIMIT 1`,
    values: sent,
  };
}

function assignments(plan: RelationPlan, set: readonly number[]): string {
  return set.map((column, index) => `${plan.columns[column]!.sql} = $${index + 1}`).join(', ');
}

/** A DELETE by the row's absence. */
function lookForDelete(plan: RelationPlan, values: readonly (string | null)[]): Look {
  const parameters = new Parameters();
  if (plan.key.length === 0) {
    return {
      text: `SELECT 1 FROM ${plan.rows} AS t WHERE t.ctid = $1::tid AND hashtextextended(t::text, 0) = $2::bigint`,
      values: [...values],
    };
  }
  const conditions = plan.key.map((column) => sameText(plan, column, parameters, true));
  return { text: `SELECT 1 FROM ${plan.rows} AS t WHERE ${conditions.join(' AND ')}`, values: [...values] };
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
