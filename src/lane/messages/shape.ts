import type { Plan, RelationPlan } from '../../plan/plan.js';

/** A statement's text, prepared once per connection. */
export interface Shape {
  readonly id: number;
  readonly sql: string;
  readonly parameters: number;
  /** Columns that it returns of each row, beside the last one of `reportsMove`. */
  readonly returned: number;
  /** True where the rows could not tell whether it took effect, since others may look like those that it writes: see `Transaction`. */
  readonly needsReceipt: boolean;
  /** True where a last column says whether the row moved to another partition. */
  readonly reportsMove: boolean;
  /** True where it finds rows that are there: how it does so best depends on how many there are. */
  readonly finds: boolean;
}

/** A tie to one version of a row without a key: where it lies, and what it holds. */
const rowHash = (alias: string) => `hashtextextended((${alias}.*)::text, 0)`;
const ROW_NAME = ['t.ctid::text', `${rowHash('t')}::text`];
/* A subquery in RETURNING still sees the row where it was. */
const MOVED = '(t.tableoid <> (SELECT before.tableoid FROM ';

/** A statement's text, and what it returns of each row. */
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
  /** The number of the next one. */
  count: number;

  /** `first`: the number of the first one, where one session carries the statements of several plans. */
  constructor(plan: Plan, first = 0) {
    this.count = first;
    this.relations = plan.relations;
    this.inserts = plan.relations.map(() => []);
    this.updates = plan.relations.map(() => []);
    this.deletes = new Array<Shape | undefined>(plan.relations.length);
    this.together = plan.relations.map(() => new Map());
  }

  /** `columns`: those of the plan, or fewer, whose others the server fills. */
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

  /** One statement for rows that reference each other: foreign keys are checked at its end. */
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

  /** A shape of any other text, for statements that a strategy builds itself. */
  other(key: string, build: () => Text, needsReceipt: boolean): Shape {
    let shape = this.others.get(key);
    if (shape === undefined) {
      shape = this.create(build, needsReceipt);
      this.others.set(key, shape);
    }
    return shape;
  }

  private create(build: () => Text, needsReceipt: boolean): Shape {
    const { sql, parameters, returned = [] } = build();
    const reportsMove = returned.at(-1)?.startsWith(MOVED) ?? false;
    return {
      id: this.count++,
      sql: returned.length === 0 ? sql : `${sql} RETURNING ${returned.join(', ')}`,
      parameters,
      returned: returned.length - (reportsMove ? 1 : 0),
      // Where the row was before, nobody knows any more.
      needsReceipt: needsReceipt || reportsMove,
      reportsMove,
      finds: !sql.startsWith('INSERT'),
    };
  }
}

/** True where what an INSERT of these columns has written can be found: by a key that it writes, or by the rows' mark. */
function isFound({ key, columns, mark }: RelationPlan, written: readonly number[]): boolean {
  if (mark >= 0) return written.includes(mark);
  return key.length > 0 && key.every((column) => columns[column]!.source !== 'server' && written.includes(column));
}

/** True where the row that an UPDATE of these columns has written can be found: by the key that it keeps, or by its new mark. */
function isKept({ key, mark }: RelationPlan, written: readonly number[]): boolean {
  return key.length > 0 || written.includes(mark);
}

/** What begins, divides and ends a transaction of several operations; numbered below every shape of a plan. */
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

/** An UPDATE of one row; where it writes a column of the partition key it returns whether the row moved. */
function updateSql(plan: RelationPlan, columns: readonly number[]): Text {
  const parameters = new Parameters();
  const assignments = columns.map((column) => `${plan.columns[column]!.sql} = ${parameters.next()}`);
  // The row is named twice by the same parameters.
  const same: Parameters = Object.assign(new Parameters(), parameters);
  const returned = plan.key.length === 0 ? nameOf(plan) : [];
  const sql = `UPDATE ${plan.rows} AS t SET ${assignments.join(', ')} WHERE ${whereRow(plan, parameters)}`;
  if (columns.some((column) => plan.partitionedBy.includes(column)))
    returned.push(`${MOVED}${plan.rows} AS before WHERE ${whereRow(plan, same, 'before')}))::text`);
  return { sql, parameters: parameters.count, returned };
}

/** An UPDATE of rows that keep their partition. */
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

/** The condition that `t` is the row whose key stands in these columns of `v`. */
export function whereListed(plan: RelationPlan, names: readonly string[]): string {
  return plan.key.map((column, index) => `t.${plan.columns[column]!.sql} = v.${names[index]!}`).join(' AND ');
}

/* From here on a list is announced as shorter than it is. */
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

/* A key is compared with what its column has made of the same text: it is cut and rounded likewise. */
function typeInList({ key, columns }: RelationPlan, column: number): string {
  const { typeName, bareType } = columns[column]!;
  return key.includes(column) ? typeName : (bareType ?? typeName);
}

/** What the server must tell of a new row, `t`: its place and hash, or the columns that it makes. */
export function nameOf(plan: RelationPlan): string[] {
  return plan.key.length === 0 ? [...ROW_NAME] : plan.returned.map((column) => `t.${plan.columns[column]!.sql}::text`);
}

/** The condition that names one row: its key, or its place and hash where the table has no key. */
export function whereRow(plan: RelationPlan, parameters: Parameters, alias = 't'): string {
  if (plan.key.length === 0)
    return `${alias}.ctid = ${parameters.next()}::tid AND ${rowHash(alias)} = ${parameters.next()}::bigint`;
  return plan.key
    .map((column) => `${alias}.${plan.columns[column]!.sql} = ${parameters.next()}::${plan.columns[column]!.typeName}`)
    .join(' AND ');
}

/* The protocol counts them in 16 bits. */
const MOST_PARAMETERS = 65_535;

/* Beyond this more rows make a statement no faster, and its plan takes more of each session's memory. */
const MOST_TOGETHER = 128;

/** The most rows that one UPDATE or DELETE changes, where each of them has so many parameters. */
export function maxRowsTogether(parameters: number): number {
  return Math.min(MOST_TOGETHER, Math.floor(MOST_PARAMETERS / parameters));
}

/** The most rows that one INSERT of a relation can hold: 65,535 parameters is the protocol's limit, beyond it they wrap silently. */
export function maxRowsPerInsert(plan: RelationPlan): number {
  return plan.insertColumns.length === 0 ? 1 : Math.max(1, Math.floor(MOST_PARAMETERS / plan.insertColumns.length));
}
