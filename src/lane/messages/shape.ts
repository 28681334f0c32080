import type { Plan, RelationPlan } from '../../plan/plan.js';

/** A statement's text, prepared once per connection. */
export interface Shape {
  readonly id: number;
  readonly sql: string;
  readonly parameters: number;
  /** Number of columns that it returns for each row, without the last one of `reportsMove`. */
  readonly returned: number;
  /** True if its rows cannot prove that it took effect, because others may look the same: see `Transaction`. */
  readonly needsReceipt: boolean;
  /** True if it returns a last column that says whether the row moved to another partition. */
  readonly reportsMove: boolean;
  /** True if it looks up existing rows: the best plan for that depends on how many there are. */
  readonly finds: boolean;
}

/** A hash of all columns; with ctid it identifies one version of a row without a key. */
const rowHash = (alias: string) => `hashtextextended((${alias}.*)::text, 0)`;
const ROW_NAME = ['t.ctid::text', `${rowHash('t')}::text`];
/* A subquery in RETURNING still sees the row where it was. */
const MOVED = '(t.tableoid <> (SELECT before.tableoid FROM ';

/** The text of a statement, and what it returns for each row. */
interface Text {
  readonly sql: string;
  readonly parameters: number;
  readonly returned?: readonly string[];
}

/** The statements of a plan, one object per text. */
export class Shapes {
  private readonly relations: readonly RelationPlan[];
  /** By relation: inserts by number of rows, updates by set, and the delete. */
  private readonly inserts: (Shape | undefined)[][];
  private readonly updates: (Shape | undefined)[][];
  private readonly deletes: (Shape | undefined)[];
  /** By relation: by set and number of rows, deletes as the set −1. */
  private readonly together: Map<string, Shape>[];
  private readonly others = new Map<string, Shape>();
  private readonly hasReceipts: boolean;
  /** The number of the next shape. */
  count: number;

  /** `first`: the number of the first shape, for sessions that execute the statements of several plans. */
  constructor(plan: Plan, first = 0) {
    this.count = first;
    this.relations = plan.relations;
    this.hasReceipts = plan.lacksReceipts !== true;
    this.inserts = plan.relations.map(() => []);
    this.updates = plan.relations.map(() => []);
    this.deletes = new Array<Shape | undefined>(plan.relations.length);
    this.together = plan.relations.map(() => new Map());
  }

  /** `columns`: the inserted columns of the plan, or some of them if the server fills the others. */
  insert(relation: number, rows: number, columns: readonly number[]): Shape {
    const plan = this.relations[relation]!;
    const build = () => {
      const parameters = new Parameters();
      const sql = insertSql(plan, rows, columns, parameters);
      return { sql, parameters: parameters.count, returned: nameOf(plan) };
    };
    const needsReceipt = !isFound(plan, columns);
    if (columns !== plan.insertColumns) return this.other(`defaults/${relation}/${rows}`, build, needsReceipt);
    const known = this.inserts[relation]!;
    known[rows] ??= this.create(build, needsReceipt);
    return known[rows];
  }

  /** Returns one statement for rows that reference each other, because foreign keys are checked at its end. */
  insertTogether(
    others: readonly { readonly relation: number; readonly rows: number }[],
    relation: number,
    rows: number,
  ): Shape {
    const name = [...others, { relation, rows }].map((each) => `${each.relation}x${each.rows}`).join();
    const plan = this.relations[relation]!;
    const build = () => {
      const parameters = new Parameters();
      const parts = others.map(
        (each, index) => `i${index} AS (${this.insertAll(each.relation, each.rows, parameters)})`,
      );
      const sql = `WITH ${parts.join(', ')} ${this.insertAll(relation, rows, parameters)}`;
      return { sql, parameters: parameters.count, returned: nameOf(plan) };
    };
    return this.other(`together/${name}`, build, !isFound(plan, plan.insertColumns));
  }

  private insertAll(relation: number, rows: number, parameters: Parameters): string {
    const plan = this.relations[relation]!;
    return insertSql(plan, rows, plan.insertColumns, parameters);
  }

  /** Parameters: the set's columns, then the row's name. */
  update(relation: number, set: number): Shape {
    const plan = this.relations[relation]!;
    const known = this.updates[relation]!;
    const columns = plan.updateSets[set]!;
    known[set] ??= this.create(() => updateSql(plan, columns), !isKept(plan, columns));
    return known[set];
  }

  /** Parameters: the columns written anew, then the row's name. */
  rekey(relation: number): Shape {
    const plan = this.relations[relation]!;
    return this.other(`rekey/${relation}`, () => updateSql(plan, plan.rekeyed), !isFound(plan, plan.rekeyed));
  }

  /** Parameters: some columns' values, then the row's name. */
  set(relation: number, columns: readonly number[]): Shape {
    const plan = this.relations[relation]!;
    const build = () => updateSql(plan, columns);
    return this.other(`set/${relation}/${columns.join()}`, build, !isKept(plan, columns));
  }

  delete(relation: number): Shape {
    const plan = this.relations[relation]!;
    this.deletes[relation] ??= this.create(
      () => {
        const parameters = new Parameters();
        return {
          sql: `DELETE FROM ${plan.rows} AS t WHERE ${whereRow(plan, parameters)}`,
          parameters: parameters.count,
        };
      },
      plan.key.length === 0 && plan.mark < 0,
    );
    return this.deletes[relation];
  }

  /** Parameters: for each row the set's columns, then its key. `rows`: at least 2. */
  updateTogether(relation: number, set: number, rows: number): Shape {
    const plan = this.relations[relation]!;
    return this.ofRows(relation, set, rows, () => updateTogetherSql(plan, plan.updateSets[set]!, rows));
  }

  /** Parameters: the key of each row. `rows`: at least 2. */
  deleteTogether(relation: number, rows: number): Shape {
    return this.ofRows(relation, -1, rows, () => deleteTogetherSql(this.relations[relation]!, rows));
  }

  private ofRows(relation: number, set: number, rows: number, build: () => Text): Shape {
    const known = this.together[relation]!;
    const name = `${set}/${rows}`;
    let shape = known.get(name);
    if (shape === undefined) {
      shape = this.create(build, false);
      known.set(name, shape);
    }
    return shape;
  }

  /** Returns a shape with another text, for statements that a strategy builds itself. */
  other(key: string, build: () => Text, needsReceipt: boolean): Shape {
    let shape = this.others.get(key);
    if (shape === undefined) {
      shape = this.create(build, needsReceipt);
      this.others.set(key, shape);
    }
    return shape;
  }

  private create(build: () => Text, needsReceipt: boolean): Shape {
    const { sql, parameters, returned: all = [] } = build();
    const isMovable = all.at(-1)?.startsWith(MOVED) ?? false;
    const reportsMove = isMovable && this.hasReceipts;
    const returned = isMovable && !reportsMove ? all.slice(0, -1) : all;
    return {
      id: this.count++,
      sql: returned.length === 0 ? sql : `${sql} RETURNING ${returned.join(', ')}`,
      parameters,
      returned: returned.length - (reportsMove ? 1 : 0),
      // The former place of the row is no longer known.
      needsReceipt: (needsReceipt || reportsMove) && this.hasReceipts,
      reportsMove,
      finds: !sql.startsWith('INSERT'),
    };
  }
}

/** Returns true if rows that an INSERT of these columns wrote can be found: by their key or their mark. */
function isFound({ key, columns, mark }: RelationPlan, written: readonly number[]): boolean {
  if (mark >= 0) return written.includes(mark);
  return key.length > 0 && key.every((column) => columns[column]!.source !== 'server' && written.includes(column));
}

/** Returns true if a row that an UPDATE of these columns wrote can be found: by its unchanged key or its new mark. */
function isKept({ key, mark }: RelationPlan, written: readonly number[]): boolean {
  return key.length > 0 || written.includes(mark);
}

/** Statements that begin, divide and end a transaction of several operations; numbered below all shapes of a plan. */
export const CONTROL = {
  begin: control(-1, 'BEGIN'),
  commit: control(-2, 'COMMIT'),
  rollback: control(-3, 'ROLLBACK'),
  savepoint: control(-4, 'SAVEPOINT eventgen'),
  release: control(-5, 'RELEASE SAVEPOINT eventgen'),
  rollbackToSavepoint: control(-6, 'ROLLBACK TO SAVEPOINT eventgen'),
  immediate: control(-7, 'SET CONSTRAINTS ALL IMMEDIATE'),
  deferred: control(-8, 'SET CONSTRAINTS ALL DEFERRED'),
  receipt: control(-9, 'SELECT pg_current_xact_id()::text'),
} as const;

function control(id: number, sql: string): Shape {
  return { id, sql, parameters: 0, returned: 0, needsReceipt: false, reportsMove: false, finds: false };
}

/** $1, $2, … */
export class Parameters {
  count = 0;
  next(): string {
    this.count++;
    return `$${this.count}`;
  }
}

function insertSql(plan: RelationPlan, rows: number, columns: readonly number[], parameters: Parameters): string {
  const names = columns.map((column) => plan.columns[column]!.sql);
  if (names.length === 0) return `INSERT INTO ${plan.sql} AS t DEFAULT VALUES`;
  const values = Array.from({ length: rows }, () => `(${names.map(() => parameters.next()).join(', ')})`);
  const overriding = plan.overriding ? ' OVERRIDING SYSTEM VALUE' : '';
  return `INSERT INTO ${plan.sql} AS t (${names.join(', ')})${overriding} VALUES ${values.join(', ')}`;
}

/** Returns an UPDATE of one row. If it writes a column of the partition key, it returns whether the row moved. */
function updateSql(plan: RelationPlan, columns: readonly number[]): Text {
  const parameters = new Parameters();
  const assignments = columns.map((column) => `${plan.columns[column]!.sql} = ${parameters.next()}`);
  // The same parameters identify the row twice.
  const same: Parameters = Object.assign(new Parameters(), parameters);
  const returned = plan.key.length === 0 ? nameOf(plan) : [];
  const sql = `UPDATE ${plan.rows} AS t SET ${assignments.join(', ')} WHERE ${whereRow(plan, parameters)}`;
  if (columns.some((column) => plan.partitionedBy.includes(column)))
    returned.push(`${MOVED}${plan.rows} AS before WHERE ${whereRow(plan, same, 'before')}))::text`);
  return { sql, parameters: parameters.count, returned };
}

/** Returns an UPDATE of rows that keep their partition. */
function updateTogetherSql(plan: RelationPlan, columns: readonly number[], rows: number): Text {
  const { listed, parameters, names } = listRows(plan, [...columns, ...plan.key], rows);
  const assignments = columns.map((column, index) => `${plan.columns[column]!.sql} = v.${names[index]!}`);
  const sql = `UPDATE ${plan.rows} AS t SET ${assignments.join(', ')} FROM ${listed} WHERE ${whereListed(plan, names.slice(columns.length))}`;
  return { sql, parameters };
}

function deleteTogetherSql(plan: RelationPlan, rows: number): Text {
  const { listed, parameters, names } = listRows(plan, plan.key, rows);
  return { sql: `DELETE FROM ${plan.rows} AS t USING ${listed} WHERE ${whereListed(plan, names)}`, parameters };
}

/** Returns the condition that `t` is the row whose key is in these columns of `v`. */
export function whereListed(plan: RelationPlan, names: readonly string[]): string {
  return plan.key.map((column, index) => `t.${plan.columns[column]!.sql} = v.${names[index]!}`).join(' AND ');
}

/* From this length on, the planner is made to expect a shorter list. */
const LONG_LIST = 16;

/**
 * Rows of parameters as a table `v`, whose columns have these names. The planner takes a list for as long as it is, and
 * rather reads a whole table than look up so many rows one by one, up to many thousands of rows; a LIMIT that it cannot
 * foresee makes it expect a tenth. `isNumbered`: a last column `number` counts the rows from 0.
 */
export function listRows(
  plan: RelationPlan,
  columns: readonly number[],
  rows: number,
  isNumbered = false,
): { readonly listed: string; readonly parameters: number; readonly names: readonly string[] } {
  const parameters = new Parameters();
  const list = Array.from({ length: rows }, (_, row) => {
    const cells = columns.map((column) => `${parameters.next()}::${typeInList(plan, column)}`);
    return `(${[...cells, ...(isNumbered ? [row] : [])].join(', ')})`;
  });
  const names = columns.map((_, index) => `c${index}`);
  const limit = rows < LONG_LIST ? '' : ` LIMIT (SELECT ${rows})`;
  return {
    listed: `(VALUES ${list.join(', ')}${limit}) AS v (${[...names, ...(isNumbered ? ['number'] : [])].join(', ')})`,
    parameters: parameters.count,
    names,
  };
}

/* A key is cast to the type of its column, so that it is cut and rounded like the stored value. */
function typeInList({ key, columns }: RelationPlan, column: number): string {
  const { typeName, bareType } = columns[column]!;
  return key.includes(column) ? typeName : (bareType ?? typeName);
}

/** Returns what the server must return for a new row `t`: its place and hash, or the columns that it generates. */
export function nameOf(plan: RelationPlan): string[] {
  return plan.key.length === 0 ? [...ROW_NAME] : plan.returned.map((column) => `t.${plan.columns[column]!.sql}::text`);
}

/** Returns the condition that identifies one row: by its key, or by place and hash if the table has no key. */
export function whereRow(plan: RelationPlan, parameters: Parameters, alias = 't'): string {
  if (plan.key.length === 0)
    return `${alias}.ctid = ${parameters.next()}::tid AND ${rowHash(alias)} = ${parameters.next()}::bigint`;
  return plan.key
    .map((column) => `${alias}.${plan.columns[column]!.sql} = ${parameters.next()}::${plan.columns[column]!.typeName}`)
    .join(' AND ');
}

/* The protocol counts parameters in 16 bits. */
const MOST_PARAMETERS = 65_535;

/* More rows would not make a statement faster, but its plan would take more memory of each session. */
const MOST_TOGETHER = 128;

/** Returns the most rows that one UPDATE or DELETE changes, if each of them has so many parameters. */
export function maxRowsTogether(parameters: number): number {
  return Math.min(MOST_TOGETHER, Math.floor(MOST_PARAMETERS / parameters));
}

/** Returns the most rows of one INSERT. Beyond the protocol's limit of 65,535 the parameter count wraps silently. */
export function maxRowsPerInsert(plan: RelationPlan): number {
  return plan.insertColumns.length === 0 ? 1 : Math.max(1, Math.floor(MOST_PARAMETERS / plan.insertColumns.length));
}
