import pg from 'pg';
import type { Operation, Statement } from '../lane/messages/operation.js';
import type { Effect, Outcome } from '../lane/messages/outcome.js';
import type { Transaction } from '../lane/messages/transaction.js';
import type { CompiledPlan } from '../lane/rows/compiled.js';
import { type Look, lookFor, placeOf } from './evidence.js';

/** The outcome of a transaction whose answer was lost. */
export interface Resolution {
  readonly transaction: Transaction;
  /** Its outcome; null if it had no effect and must be sent again. */
  readonly outcome: Outcome | null;
  /** False if neither could be proved. */
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
    if (performance.now() > deadline)
      throw new Error(`server process ${processId} did not end within ${timeoutMs} ms after pg_terminate_backend`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * Ends all backends of ours with these names, and waits until they have left.
 * @throws Error if they have not left in time.
 */
export async function endBackends(client: pg.Client, names: readonly string[], timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  const text = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ANY ($1)';
  for (;;) {
    const { rowCount } = await client.query(text, [names]);
    if ((rowCount ?? 0) === 0) return;
    if (performance.now() > deadline)
      throw new Error(`the sessions ${names.join(', ')} did not end within ${timeoutMs} ms after pg_terminate_backend`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * Finds out which transactions of a lost connection took effect. `sinceXid`: no row of the run is older than that
 * transaction. `hasReceipts`: false where receipts that came are not known here. One connection executes in order, so whatever lies
 * before one that is proved done was executed too: committed, unless its own effect can be looked up and is missing
 * (then it was refused, and is refused again when it is replayed).
 */
export async function resolveInDoubt(
  client: pg.Client,
  compiled: CompiledPlan,
  pending: readonly Transaction[],
  sinceXid: string,
  hasReceipts = true,
): Promise<Resolution[]> {
  const resolutions: Resolution[] = [];
  let laterIsDone = false;
  const taken = new Set<Operation>();
  // A transaction that was sent again was sent after its successors.
  for (const transaction of [...pending].reverse().sort((a, b) => b.sentMs - a.sentMs)) {
    // A row with this key may be another one that took over the key.
    const isTakenOver = transaction.members.some(
      ({ operation: { takenBy } }) => takenBy !== null && taken.has(takenBy),
    );
    const proof: Proof = isTakenOver
      ? { kind: 'done', effects: transaction.intended().effects }
      : transaction.needsReceipt
        ? await proveByReceipt(client, compiled, transaction, hasReceipts)
        : await proveByRows(client, transaction, (bytes, statement, isWrittenAgain) =>
            lookFor(compiled, bytes, statement, sinceXid, isWrittenAgain),
          );
    if (proof.kind === 'done') {
      laterIsDone = true;
      for (const { operation } of transaction.members) taken.add(operation);
    }
    const done = proof.kind === 'done' || (proof.kind === 'unknown' && laterIsDone);
    resolutions.push({
      transaction,
      outcome: done ? { kind: 'committed', effects: effectsOf(transaction, proof) } : null,
      // That it was executed does not say how many rows a sample had.
      proved: proof.kind !== 'unknown' || (laterIsDone && transaction.receipt !== null),
    });
  }
  return resolutions;
}

type Proof =
  | { readonly kind: 'done'; readonly effects: readonly Effect[] }
  | { readonly kind: 'not done' }
  | { readonly kind: 'unknown' };

function effectsOf(transaction: Transaction, proof: Proof): readonly Effect[] {
  if (proof.kind === 'done') return proof.effects;
  return (transaction.receipt ?? transaction.intended()).effects;
}

/*
 * Its COMMIT is sent after the receipt has arrived. The backend has left, so that the transaction has ended one way or
 * the other.
 */
async function proveByReceipt(
  client: pg.Client,
  compiled: CompiledPlan,
  transaction: Transaction,
  hasReceipts: boolean,
): Promise<Proof> {
  const { receipt } = transaction;
  if (receipt === null) return { kind: hasReceipts ? 'not done' : 'unknown' };
  switch (receipt.xid === null ? 'committed' : await statusOf(client, receipt.xid)) {
    case 'committed':
      // After a crash the server may reuse the id of a transaction that it lost.
      return (await leftItsRows(client, compiled, transaction))
        ? { kind: 'done', effects: receipt.effects }
        : { kind: 'not done' };
    case 'aborted':
      return { kind: 'not done' };
    default:
      return { kind: 'unknown' };
  }
}

/** Returns false if a row that a transaction wrote without a key of ours is not where its receipt says. */
async function leftItsRows(client: pg.Client, compiled: CompiledPlan, transaction: Transaction): Promise<boolean> {
  for (const [index, member] of transaction.members.entries()) {
    if (!transaction.lasts(member)) continue;
    const { bytes, statements } = member.operation;
    for (const [at, statement] of statements.entries()) {
      const returned = transaction.receipt!.effects[index]!.returned[at] ?? [];
      const question = placeOf(compiled, bytes, statement, returned, transaction.receipt!.xid);
      if (question === null) continue;
      const { rowCount } = await client.query({ text: question.text, values: [...question.values] });
      if (rowCount !== question.rows) return false;
    }
  }
  return true;
}

/** Returns the status of a transaction by its id; null if the server no longer knows it. */
export async function statusOf(client: pg.Client, xid: string): Promise<string | null> {
  try {
    const text = 'SELECT pg_xact_status($1::xid8) AS status';
    return (await client.query<{ status: string | null }>(text, [xid])).rows[0]!.status;
  } catch (error) {
    // "is in the future": the server has crashed and lost it.
    if (error instanceof pg.DatabaseError && error.code === '22023') return 'aborted';
    throw error;
  }
}

/*
 * A transaction is atomic: one statement without its effect speaks for all, and so does one whose effect nothing else can
 * have had. Values that an UPDATE writes may have stood there before: they count where all of them do, and then it does
 * not matter. Where nothing lasts, nothing can have been lost.
 */
async function proveByRows(client: pg.Client, transaction: Transaction, look: Looking): Promise<Proof> {
  const lasting = transaction.members
    .filter((member) => transaction.lasts(member))
    .flatMap(({ operation: { bytes, statements } }) => statements.map((statement) => ({ bytes, statement })));
  if (lasting.length === 0) return { kind: 'not done' };
  const returned = new Map<Statement, (string | null)[][]>();
  let known: 'nothing' | 'hints' | 'proof' = 'nothing';
  // A row that a later statement writes again has that statement's values.
  const seen = new Set<string>();
  for (const { bytes, statement } of lasting.reverse()) {
    const rowOf = (slot: number) => `${statement.relation}/${slot}`;
    const question = look(bytes, statement, (slot) => seen.has(rowOf(slot)));
    if (statement.kind !== 'insert') for (const slot of statement.slots) seen.add(rowOf(slot));
    if (known === 'proof' && statement.shape.returned === 0) continue;
    if (question === null) continue;
    const { text, values } = question;
    const { rows } = await client.query({ text, values: [...values], rowMode: 'array' });
    const found = rows as (string | null)[][];
    const isMissing = statement.kind === 'delete' ? found.length > 0 : found.length < question.rows;
    if (isMissing && question.missing === 'proof') return { kind: 'not done' };
    if (isMissing) continue;
    if (question.found === 'proof') known = 'proof';
    else if (known === 'nothing') known = 'hints';
    if (statement.shape.returned > 0) returned.set(statement, found);
  }
  if (known === 'nothing') return { kind: 'unknown' };
  const effects = transaction.members.map(({ operation: { statements } }) => ({
    rows: statements.map(({ rows }) => rows),
    returned: statements.map((statement) => returned.get(statement) ?? null),
  }));
  return { kind: 'done', effects };
}

type Looking = (bytes: Buffer, statement: Statement, isWrittenAgain: (slot: number) => boolean) => Look | null;
