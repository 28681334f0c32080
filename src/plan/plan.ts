import type { Expression } from '../catalog/expression.js';
import type { Comparison } from '../constraint/guard.js';
import type { Recipe } from '../datum/recipe.js';

/**
 * Everything decided before the first statement. Plain data: it can be posted to a worker, printed by `--dry-run` and
 * stored beside a bug report. Two equal plans over equal rows generate the same operations.
 */
export interface Plan {
  /** Raised with every change of what a seed generates. */
  readonly generatorVersion: number;
  /** Decimal digits of the 64-bit seeds. */
  readonly randomSeed: string;
  readonly fakerSeed: string;
  /** Operations of each lane; −1: until stopped. */
  readonly quotas: readonly number[];
  readonly pipelineDepth: number;
  /** What lanes set their search_path to: the application's own functions may rely on the schemas; null: it stays the role's. */
  readonly searchPath: string | null;
  readonly rowSelection: 'owned' | 'system_rows';
  readonly rowsPerOperation: Readonly<Record<OperationKind, number>>;
  readonly maxRetries: Readonly<Record<OperationKind, number>>;
  readonly quarantineAfter: number;
  readonly transaction: TransactionPlan;
  /** Rows remembered per table and in all, over all lanes: the longest untouched are forgotten first. */
  readonly maxTrackedRows: number;
  readonly maxTrackedRowsTotal: number;
  /** DELETE stops at min, INSERT becomes DELETE at max (0: no bound), per table over all lanes. */
  readonly tableRows: { readonly min: number; readonly max: number };
  /** Unique values that go from one row to another; null: none on purpose. */
  readonly conflicts: ConflictPlan | null;
  /** Exponent of the Zipf law by which UPDATEs choose rows; null: all alike. */
  readonly skew: number | null;
  readonly relations: readonly RelationPlan[];
  /** What a draw may choose, with its share of the weights. */
  readonly choices: readonly Choice[];
  /** Rows that triggers make or delete with those of the run, as far as the rehearsal has seen them. */
  readonly triggered: readonly TriggeredRows[];
}

/** Rows of one table that come (or go) by triggers of another one. */
export interface TriggeredRows {
  /** The table whose rows they are. */
  readonly relation: number;
  /** The table whose triggers make them, and on which operation. */
  readonly of: number;
  readonly kind: OperationKind;
  /** For each row of the operation; null where it is not always the same. */
  readonly perRow: number | null;
}

/** How a unique value may be freed and taken. */
export interface ConflictPlan {
  readonly free: readonly ('delete' | 'update')[];
  readonly take: readonly ('insert' | 'update')[];
}

export interface ConflictKey {
  /** Columns of the index: a NULL among them meets nothing. */
  readonly indexed: readonly number[];
  /** Those and others that are written together with them. */
  readonly written: readonly number[];
}

/** How operations are put together. */
export interface TransactionPlan {
  /** Operations that commit together. */
  readonly statements: number;
  /** Of the operations after a transaction's first: in a savepoint of their own, every other of which is rolled back. */
  readonly savepointRatio: number;
  /** Of the transactions: rolled back as a whole. */
  readonly rollbackRatio: number;
  readonly isolation: 'read committed' | 'repeatable read' | 'serializable';
}

export type OperationKind = 'insert' | 'update' | 'delete';
export const OPERATION_KINDS: readonly OperationKind[] = ['insert', 'update', 'delete'];

export interface Choice {
  /** True where a unique value is to go from one row to another; `operation` is what is done where that is not possible. */
  readonly isConflict?: boolean;
  readonly relation: number;
  readonly operation: OperationKind;
  readonly weight: number;
}

/** A targeted relation, or one that targeted relations reference (`targeted` false: its rows are pinned). */
export interface RelationPlan {
  /** schema.table as users write it; also the name of its streams. */
  readonly label: string;
  /** schema.table quoted for SQL. */
  readonly sql: string;
  /** Its own rows, for FROM, UPDATE and DELETE: ONLY where other tables inherit from it. */
  readonly rows: string;
  readonly targeted: boolean;
  readonly columns: readonly ColumnPlan[];
  /** Columns that an INSERT gives values to. */
  readonly insertColumns: readonly number[];
  /** Of these, columns whose default the server computes: now and then an INSERT leaves them to it. */
  readonly defaulted: readonly number[];
  /** True where OVERRIDING SYSTEM VALUE is needed. */
  readonly overriding: boolean;
  /** Columns that name a row in WHERE; empty: rows are named by ctid and a hash of the row. */
  readonly key: readonly number[];
  /**
   * A column whose values no two rows of a run share, where rows have no key of ours: by it they are found when an answer
   * was lost. −1: there is none, or no need.
   */
  readonly mark: number;
  /** Columns of `key` and those that foreign keys reference, in order: what must be known of every row. */
  readonly named: readonly number[];
  /** Columns of `named` whose text is remembered per row because it is no function of the ordinal, in order. */
  readonly kept: readonly number[];
  /** Columns of `kept` that only the server knows, read by RETURNING. */
  readonly returned: readonly number[];
  readonly foreignKeys: readonly ForeignKeyPlan[];
  /** Foreign keys that lead here, those of relations outside of the run among them. */
  readonly incoming: readonly IncomingKey[];
  /** Unique keys that no ordinal column makes unique: their tuples are tracked per lane. */
  readonly trackedKeys: readonly (readonly number[])[];
  /** Unique indexes in which rows of two lanes may meet, since nobody but the server knows what they compare. */
  readonly blurredKeys: readonly string[];
  /** Columns that conditions tie together: their values are drawn as one tuple of those that the server has accepted. */
  readonly groups: readonly ValueGroup[];
  /** Conditions between columns that have sources of their own: a row that does not meet them is drawn again. */
  readonly guards: readonly Guard[];
  /** Columns that an UPDATE writes together or not at all. */
  readonly updateGroups: readonly (readonly number[])[];
  /** Sets of columns that an UPDATE may write, each whole groups. Empty: no UPDATE is possible. */
  readonly updateSets: readonly (readonly number[])[];
  /** Columns that decide into which partition a row falls: an UPDATE that writes one of them may move it. */
  readonly partitionedBy: readonly number[];
  /**
   * Columns that an UPDATE writes anew, keys among them, in rows that nothing references: always where there is no set of
   * other columns, now and then where the key decides on the partition, so that rows move.
   */
  readonly rekeyed: readonly number[];
  /** Unique indexes whose value can go from one row to another. */
  readonly conflictKeys: readonly ConflictKey[];
  /** True where the key of a deleted row can be inserted again. */
  readonly reusesKey: boolean;
  /** True where a unique index is over one and the same value, so that there is room for one row. */
  readonly isSingle: boolean;
  /** Ordinals 0 … capacity−1 can be used. */
  readonly capacity: number;
  /** True where an operation has one row: several in one transaction are refused. */
  readonly oneByOne: boolean;
  /** True where one UPDATE or DELETE may change several rows: nobody sees in which order it does. */
  readonly changesTogether: boolean;
  /** False where COPY is refused: row security applies to us. */
  readonly copies: boolean;
  /** Relations that get one row with each row of this one, by a trigger, and their foreign keys to it. */
  readonly companions: readonly { readonly relation: number; readonly position: number }[];
  /** Relations that must have rows before this one takes any, since its triggers look there. */
  readonly needs: readonly number[];
  /** Which operations this relation takes; what is missing has a line in `findings`. */
  readonly operations: Readonly<Record<OperationKind, boolean>>;
}

export interface ColumnPlan {
  readonly name: string;
  readonly sql: string;
  /** Its type as the server writes it, with length or precision. */
  readonly typeName: string;
  /**
   * The same, quoted for SQL, without them: a cast to it cuts and rounds nothing. Null where a cast would need a privilege
   * that writing the column does not: USAGE on the schema of its type.
   */
  readonly bareType: string | null;
  /** `schema.table.column`: the name of its stream. */
  readonly label: string;
  readonly recipe: Recipe;
  /**
   * drawn: from the operation's stream · ordinal: a pure function of the row's ordinal · foreign: copied from the
   * parent that foreignKeys[…] chose · server: default, identity or generated, never written.
   */
  readonly source: 'drawn' | 'ordinal' | 'foreign' | 'server';
  /** Joins an ordinal column's stream; sets runs on the same table apart. */
  readonly salt: string;
  readonly nullRatio: number;
  /** Boundary values that are valid for the column. */
  readonly edges: readonly string[];
  readonly edgeRatio: number;
  /** How the rehearsal came to the recipe; left out where it had no say in it. */
  readonly learned?: string;
}

export interface ValueGroup {
  readonly columns: readonly number[];
  /** By column of the group: true where it has a source of its own (an ordinal, a parent) and tuples only say NULL or not. */
  readonly own: readonly boolean[];
  readonly tuples: readonly (readonly (string | null)[])[];
}

export interface Guard {
  /** Of the constraint. */
  readonly name: string;
  readonly condition: Expression;
  readonly columns: readonly number[];
  readonly comparisons: readonly Comparison[];
}

export interface ForeignKeyPlan {
  readonly name: string;
  /** Index of the referenced relation. */
  readonly parent: number;
  readonly columns: readonly number[];
  readonly parentColumns: readonly number[];
  /** True where the key may be left without a parent, by NULL in `nullableColumns`. */
  readonly nullable: boolean;
  readonly nullableColumns: readonly number[];
  /** A CHECK on the referencing column allows these values of the parent's column alone; null: any. */
  readonly only: { readonly parentColumn: number; readonly values: readonly string[] } | null;
  /**
   * What becomes of a referencing row that the lane knows when its parent is deleted: it goes too, its key becomes NULL,
   * or nothing does, so that the parent cannot be deleted.
   */
  readonly follows: 'delete' | 'null' | 'nothing';
  /** True where a trigger of the referencing table inserts the parent, under a key that the child brings. */
  readonly makesParent: boolean;
}

/** A foreign key as the referenced relation sees it: all it tells is which rows are referenced. */
export interface IncomingKey {
  /** schema.table quoted for SQL. */
  readonly sql: string;
  /** Quoted for SQL, in the same order. */
  readonly columns: readonly string[];
  readonly referencedColumns: readonly string[];
}

/** What a reader of the plan should know about a relation before the first write. */
export interface Finding {
  readonly relation: string;
  readonly column: string | null;
  /** Operations that are not possible because of it; empty: a remark. */
  readonly prevents: readonly OperationKind[];
  readonly reason: string;
  readonly remedy: string;
  /** Tables that no row can come into because of it; left out where there are none. */
  readonly behind?: readonly string[];
}
