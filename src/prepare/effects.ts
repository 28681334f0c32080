import { quoteIdentifier, type Relation } from '../catalog/model.js';
import type { Operation } from '../lane/messages/operation.js';
import { NO_PARENT } from '../lane/rows/keyspace.js';
import type { OperationKind, Plan, TriggeredRows } from '../plan/plan.js';
import type { Changes, Stage } from './stage.js';
import { type Trial, tryOperation, type Write } from './trial.js';

/**
 * Finds rows that triggers change in other tables with one operation, tried with the usual number of rows and one. Null if one of
 * the two is rejected always: then the other alone could not tell what is done for each row.
 */
export async function effectsOf(
  stage: Stage,
  plan: Plan,
  relations: readonly Relation[],
  relation: number,
  kind: OperationKind,
): Promise<TriggeredRows[] | null> {
  const single: Write = (operation, seeds) => stage.rows.insert(operation, 1, seeds);
  // Several rows and a single one, to tell what is done for each row from what is done for each statement.
  const ways = kind !== 'insert' ? [undefined] : plan.relations[relation]!.oneByOne ? [single] : [undefined, single];
  const seen: { readonly rows: number; readonly others: ReadonlyMap<number, Counts> }[] = [];
  for (const write of ways) {
    const found = await changesOf(stage, { relation, kind, keeps: kind === 'insert', ...(write && { write }) });
    if (found === null) return null;
    const { trial, before } = found;
    const rows = trial.effect.rows.reduce(
      (sum, count, at) => (trial.operation.statements[at]!.own ? sum + count : sum),
      0,
    );
    seen.push({ rows, others: beside(trial.operation, before, await stage.changes(), plan, relations, relation) });
  }
  const touched = new Set(seen.flatMap(({ others }) => [...others.keys()]));
  return [...touched].map((other): TriggeredRows => {
    const counts = seen.map(({ rows, others }) => ({ rows, ...(others.get(other) ?? NOTHING) }));
    const ratios = counts.map(({ rows, inserted, deleted }) => (inserted - deleted) / rows);
    const isSteady =
      ratios.every((ratio) => ratio === ratios[0] && Number.isInteger(ratio)) &&
      counts.every(({ updated }) => updated === 0);
    return { relation: other, of: relation, kind, perRow: isSteady ? ratios[0]! : null };
  });
}

/* Draws of an operation until one passes, and the number of the first: the stage has rows with the values of earlier ones. */
const DRAWS = 12;
const FIRST = 3000;

/** Tries an operation until one draw passes; null if none does. The server counts the rows of refused draws, too. */
async function changesOf(
  stage: Stage,
  wish: Parameters<typeof tryOperation>[1],
): Promise<{ trial: Trial & { kind: 'passed' }; before: Changes } | null> {
  for (let draw = 0; draw < DRAWS; draw++) {
    const before = await stage.changes();
    const trial = await tryOperation(stage, { ...wish, draws: 1, first: FIRST + draw });
    if (trial.kind === 'passed') return { trial, before };
    if (trial.kind === 'unknown') return null;
  }
  return null;
}

interface Counts {
  readonly inserted: number;
  readonly deleted: number;
  readonly updated: number;
}

const NOTHING: Counts = { inserted: 0, deleted: 0, updated: 0 };

/** Returns, by relation, the rows that came or went in addition to those of the operation's own statements. */
function beside(
  operation: Operation,
  before: Changes,
  after: Changes,
  plan: Plan,
  relations: readonly Relation[],
  relation: number,
): Map<number, Counts> {
  const found = new Map<number, Counts>();
  for (const [index, { oid }] of relations.entries()) {
    const now = after.get(oid);
    if (now === undefined) continue;
    const then = before.get(oid);
    const own = (kind: OperationKind) =>
      operation.statements.reduce(
        (sum, each) => (each.relation === index && each.kind === kind ? sum + each.rows : sum),
        0,
      );
    const inserted = now.inserted - (then?.inserted ?? 0) - own('insert');
    const deleted = now.deleted - (then?.deleted ?? 0) - own('delete');
    const updated = now.updated - (then?.updated ?? 0) - own('update');
    // Rows that follow a deleted row by a foreign key are not changed by a trigger.
    const follows = plan.relations[index]!.foreignKeys.some(
      (key) => key.parent === relation && key.follows !== 'nothing',
    );
    // A trigger that updates a row now may insert it the next time.
    if ((inserted !== 0 || deleted !== 0 || updated !== 0) && !(operation.kind === 'delete' && follows))
      found.set(index, { inserted, deleted, updated });
  }
  return found;
}

/** A table in which a trigger inserts a row for each row of another table, with the same key. */
export interface Companion {
  readonly relation: number;
  /** Its foreign key to that other table. */
  readonly position: number;
}

/** Returns the companion if a table's new rows have the keys of another one's; null if not, or if they have no key. */
export async function isCompanion(
  stage: Stage,
  plan: Plan,
  relation: number,
  other: number,
): Promise<Companion | null> {
  const { foreignKeys, named } = plan.relations[other]!;
  const position = foreignKeys.findIndex(
    ({ parent, columns }, at) =>
      parent === relation &&
      stage.compiled.relations[other]!.soleKeys[at]! >= 0 &&
      named.every((column) => columns.includes(column)),
  );
  if (position < 0) return null;
  const { live } = stage.store.keyspaces[relation]!;
  for (let at = 0; at < live.size; at++) {
    const key = foreignKeys[position]!;
    const texts = key.parentColumns.map((column) => stage.store.namedText(relation, live.at(at), column));
    if ((await rowsWith(stage, plan, other, key.columns, texts)) !== 1) return null;
  }
  return live.size > 0 ? { relation: other, position } : null;
}

/**
 * Finds the row that was inserted last: under its key, under another key that a trigger assigned, or nowhere, because a
 * trigger has deleted it again.
 */
export async function whereabouts(
  stage: Stage,
  plan: Plan,
  relation: number,
  oid: number,
): Promise<'kept' | 'renamed' | 'gone'> {
  const { key, columns, returned } = plan.relations[relation]!;
  const { live } = stage.store.keyspaces[relation]!;
  if (key.length === 0 || returned.length > 0 || live.size === 0) return 'kept';
  // The last row is one of the trial, whatever was claimed before.
  const texts = key.map((column) => stage.store.namedText(relation, live.at(live.size - 1), column));
  if ((await rowsWith(stage, plan, relation, key, texts)) !== 0) return 'kept';
  const { deleted } = (await stage.changes()).get(oid) ?? { deleted: 0 };
  if (deleted > 0) return 'gone';
  return key.every((column) => columns[column]!.source === 'foreign') ? 'kept' : 'renamed';
}

/* The latest rows that are looked at: with few parents, a trigger often chooses the one that the row was given. */
const LATEST = 8;
/* The number of the first draw of further ones. */
const LATEST_FROM = 16_000;

/**
 * Returns the foreign keys in which a trigger has replaced the value that rows were given: the lane does not know which parents
 * such rows have.
 */
export async function overwrittenKeys(stage: Stage, plan: Plan, relation: number): Promise<number[]> {
  const { key, returned, foreignKeys } = plan.relations[relation]!;
  const { live } = stage.store.keyspaces[relation]!;
  if (key.length === 0 || returned.length > 0 || foreignKeys.length === 0) return [];
  await tryOperation(stage, { relation, kind: 'insert', keeps: true, first: LATEST_FROM });
  const latest = Array.from({ length: Math.min(LATEST, live.size) }, (_, at) => live.at(live.size - 1 - at));
  const found: number[] = [];
  for (const [position, { makesParent, columns }] of foreignKeys.entries()) {
    if (makesParent || columns.some((column) => key.includes(column))) continue;
    for (const slot of latest) {
      if (await isAsGiven(stage, plan, { relation, position, slot })) continue;
      found.push(position);
      break;
    }
  }
  return found;
}

/** Returns true if a row of the stage references the parent that it was given, or none if it was given none. */
async function isAsGiven(
  stage: Stage,
  plan: Plan,
  { relation, position, slot }: { readonly relation: number; readonly position: number; readonly slot: number },
): Promise<boolean> {
  const { key, columns, rows, foreignKeys } = plan.relations[relation]!;
  const { parent, parentColumns, columns: members } = foreignKeys[position]!;
  const texts = key.map((column) => stage.store.namedText(relation, slot, column));
  const row = stage.store.keyspaces[relation]!.parent(position, slot);
  const given = row === NO_PARENT ? [] : parentColumns.map((column) => stage.store.namedText(parent, row, column));
  const tests = members.map((column, at) => {
    const { sql, typeName } = columns[column]!;
    return row === NO_PARENT ? `${sql} IS NULL` : `${sql} = $${key.length + at + 1}::${typeName}`;
  });
  // Without a parent, one of them is NULL.
  const test = tests.join(row === NO_PARENT ? ' OR ' : ' AND ');
  const where = key.map((column, at) => `${columns[column]!.sql} = $${at + 1}`).join(' AND ');
  const [answer] = await stage.ask(`SELECT ((${test}) IS TRUE)::text FROM ${rows} WHERE ${where}`, [
    ...texts,
    ...given,
  ]);
  return answer !== 'false';
}

async function rowsWith(
  stage: Stage,
  plan: Plan,
  relation: number,
  columns: readonly number[],
  texts: readonly string[],
): Promise<number> {
  const { rows, columns: all } = plan.relations[relation]!;
  const where = columns.map((column, at) => `${quoteIdentifier(all[column]!.name)} = $${at + 1}`);
  const [count] = await stage.ask(`SELECT count(*)::text FROM ${rows} WHERE ${where.join(' AND ')}`, texts);
  return Number(count ?? '-1');
}
