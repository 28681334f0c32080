import type { Expression } from '../catalog/expression.js';
import type { Comparison } from '../constraint/guard.js';
import type { Recipe } from '../datum/recipe.js';

/** Raised with every change of what a seed generates; each raise has a line in CHANGELOG.md. */
export const GENERATOR_VERSION = 12;

/** With fewer possible rows, deleted rows make room for others. */
export const AMPLE_CAPACITY = 10_000_000;

/**
 * Everything decided before the first statement. Plain data: it can be posted to a worker, printed by `--dry-run` and
 * stored beside a bug report. Two equal plans over equal rows generate the same operations.
 */
export interface Plan {
  /** Raised with every change of what a seed generates. */
  readonly generatorVersion: number;
  /** The 64-bit seeds in decimal digits. */
  readonly randomSeed: string;
  readonly fakerSeed: string;
  /** Number of operations of each lane; −1: until stopped. */
  readonly quotas: readonly number[];
  readonly pipelineDepth: number;
  /** Number of operations from one checkpoint of a lane to the next: there its state can be saved. */
  readonly checkpointEvery: number;
  /** The search_path of lanes, because functions of the application may rely on it; null: the role's default. */
  readonly searchPath: string | null;
  readonly rowSelection: 'owned' | 'system_rows';
  /** True if the server cannot tell what became of a transaction, as PostgreSQL can by its id. */
  readonly lacksReceipts?: true;
  /** Rows of an operation; where `fewestRows` is given, its upper bound. */
  readonly rowsPerOperation: Readonly<Record<OperationKind, number>>;
  /** Lower bound of the rows of an operation, which are drawn for each. */
  readonly fewestRows?: Readonly<Record<OperationKind, number>>;
  readonly maxRetries: Readonly<Record<OperationKind, number>>;
  readonly quarantineAfter: number;
  readonly transaction: TransactionPlan;
  /** Rows remembered per table and in total, over all lanes. The least recently used are forgotten first. */
  readonly maxTrackedRows: number;
  readonly maxTrackedRowsTotal: number;
  /** DELETE stops at min, INSERT becomes DELETE at max (0: no bound), per table over all lanes. */
  readonly tableRows: { readonly min: number; readonly max: number };
  /** How unique values move from one row to another; null: no intended conflicts. */
  readonly conflicts: ConflictPlan | null;
  /** Exponent of the Zipf law by which UPDATEs choose rows; null: uniform. */
  readonly skew: number | null;
  readonly relations: readonly RelationPlan[];
  /** The possible draws, with their weights. */
  readonly choices: readonly Choice[];
  /** Rows that triggers insert or delete with those of the run, as far as the rehearsal has observed them. */
  readonly triggered: readonly TriggeredRows[];
  /** How lanes begin again if it is not known what they did before. It is never stored with the plan. */
  readonly restart?: Restart;
}

/** Lanes that begin again behind the keys that they may have used before. */
interface Restart {
  /** Number of the random streams that they draw from; the earlier process drew from others. */
  readonly streams: number;
  /** By lane. */
  readonly places: ReadonlyMap<number, LanePlace>;
}

/** The next ordinals of a lane, by relation: of inserted rows, and of unique values that UPDATEs write. */
export interface LanePlace {
  readonly inserts: readonly number[];
  readonly updates: readonly number[];
}

/** Rows of one table that triggers of another one insert or delete. */
export interface TriggeredRows {
  /** The table of these rows. */
  readonly relation: number;
  /** The table with the trigger, and the operation that fires it. */
  readonly of: number;
  readonly kind: OperationKind;
  /** Number per row of the operation; null if it varies. */
  readonly perRow: number | null;
}

/** How a unique value may be freed and taken. */
export interface ConflictPlan {
  readonly free: readonly ('delete' | 'update')[];
  readonly take: readonly ('insert' | 'update')[];
}

export interface ConflictKey {
  /** Columns of the index; a row with a NULL in them never conflicts. */
  readonly indexed: readonly number[];
  /** These columns and those that must be written together with them. */
  readonly written: readonly number[];
}

/** How operations are grouped into transactions. */
export interface TransactionPlan {
  /** Number of operations that commit together; where `fewestStatements` is given, its upper bound. */
  readonly statements: number;
  /** Lower bound of that number, which is drawn for each transaction. */
  readonly fewestStatements?: number;
  /** Share of the operations after a transaction's first that have a savepoint; every second one is rolled back. */
  readonly savepointRatio: number;
  /** Share of the transactions that are rolled back as a whole. */
  readonly rollbackRatio: number;
  readonly isolation: 'read committed' | 'repeatable read' | 'serializable';
}

export type OperationKind = 'insert' | 'update' | 'delete';
export const OPERATION_KINDS: readonly OperationKind[] = ['insert', 'update', 'delete'];

export interface Choice {
  /** True if a unique value should move from one row to another; if that is impossible, `operation` is executed. */
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
  /** Columns that an INSERT writes. */
  readonly insertColumns: readonly number[];
  /** Of these, columns with a default that the server computes; some INSERTs leave them to it. */
  readonly defaulted: readonly number[];
  /** True if OVERRIDING SYSTEM VALUE is needed. */
  readonly overriding: boolean;
  /** Columns that identify a row in WHERE; empty: ctid and a hash of the row identify it. */
  readonly key: readonly number[];
  /**
   * A column whose values no two rows of a run share, where rows have no key of ours: by it they are found when an answer
   * was lost. −1: there is none, or no need.
   */
  readonly mark: number;
  /** Columns of `key` and those that foreign keys reference, in order. They must be known for every row. */
  readonly named: readonly number[];
  /** Columns of `named` whose text is remembered per row because the ordinal does not determine it, in order. */
  readonly kept: readonly number[];
  /** Columns of `kept` that only the server knows, read by RETURNING. */
  readonly returned: readonly number[];
  readonly foreignKeys: readonly ForeignKeyPlan[];
  /** Foreign keys that reference this relation, including those of relations outside the run. */
  readonly incoming: readonly IncomingKey[];
  /** Unique keys without an ordinal column; their tuples are tracked per lane. */
  readonly trackedKeys: readonly (readonly number[])[];
  /** Unique indexes in which rows of two lanes may conflict, because only the server knows the compared values. */
  readonly blurredKeys: readonly string[];
  /** Columns that conditions connect. Their values are drawn together, as a tuple that the server has accepted. */
  readonly groups: readonly ValueGroup[];
  /** Conditions between columns that have separate sources. A row that violates one is drawn again. */
  readonly guards: readonly Guard[];
  /** Columns that an UPDATE writes together or not at all. */
  readonly updateGroups: readonly (readonly number[])[];
  /** Sets of columns that an UPDATE may write, each whole groups. Empty: no UPDATE is possible. */
  readonly updateSets: readonly (readonly number[])[];
  /** Columns that determine the partition of a row. An UPDATE of one of them may move the row. */
  readonly partitionedBy: readonly number[];
  /**
   * Columns that an UPDATE writes anew, keys among them, in rows that nothing references: always where there is no set of
   * other columns, now and then where the key decides on the partition, so that rows move.
   */
  readonly rekeyed: readonly number[];
  /** Unique indexes whose values can move from one row to another. */
  readonly conflictKeys: readonly ConflictKey[];
  /** True if the key of a deleted row can be inserted again. */
  readonly reusesKey: boolean;
  /** True if a unique index has the same value for every row, so that there is room for one row. */
  readonly isSingle: boolean;
  /** Ordinals 0 … capacity−1 can be used. */
  readonly capacity: number;
  /** True if an operation must have one row, because several in one transaction are rejected. */
  readonly oneByOne: boolean;
  /** True if one UPDATE or DELETE may change several rows, because their order has no visible effect. */
  readonly changesTogether: boolean;
  /** False if COPY is rejected, because row security applies to the user. */
  readonly copies: boolean;
  /** Relations in which a trigger inserts a row for each row of this one, and their foreign keys to it. */
  readonly companions: readonly { readonly relation: number; readonly position: number }[];
  /**
   * Relations that get a row with each row of this one, in the same transaction, and their foreign keys to it: a deferred
   * trigger wants at least one.
   */
  readonly bears: readonly { readonly relation: number; readonly position: number }[];
  /** Relations that must have rows before this one accepts any, because its triggers read them. */
  readonly needs: readonly number[];
  /** The operations that are possible on this relation; `findings` explains the others. */
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
  /** Part of an ordinal column's stream, which makes the values of different runs differ. */
  readonly salt: string;
  readonly nullRatio: number;
  /** Boundary values that are valid for the column. */
  readonly edges: readonly string[];
  readonly edgeRatio: number;
  /** How the rehearsal found the recipe; absent if it did not. */
  readonly learned?: string;
}

export interface ValueGroup {
  readonly columns: readonly number[];
  /** By column of the group: true if it has its own source (an ordinal, a parent) and tuples only say NULL or not. */
  readonly own: readonly boolean[];
  readonly tuples: readonly (readonly (string | null)[])[];
}

export interface Guard {
  /** Name of the constraint. */
  readonly name: string;
  readonly condition: Expression;
  readonly columns: readonly number[];
  readonly comparisons: readonly Comparison[];
  /** True if the condition must be true; otherwise it may also be unknown because of a NULL. */
  readonly isStrict: boolean;
}

export interface ForeignKeyPlan {
  readonly name: string;
  /** Index of the referenced relation. */
  readonly parent: number;
  readonly columns: readonly number[];
  readonly parentColumns: readonly number[];
  /** True if the key may have no parent, by NULL in `nullableColumns`. */
  readonly nullable: boolean;
  readonly nullableColumns: readonly number[];
  /** The only values of the parent's column that a CHECK on the referencing column allows; null: any. */
  readonly only: { readonly parentColumn: number; readonly values: readonly string[] } | null;
  /**
   * What becomes of a referencing row that the lane knows when its parent is deleted: it goes too, its key becomes NULL,
   * or nothing does, so that the parent cannot be deleted.
   */
  readonly follows: 'delete' | 'null' | 'nothing';
  /** True if a trigger of the referencing table inserts the parent, with a key from the child. */
  readonly makesParent: boolean;
  /** Further columns of the child and of the parent into which such a trigger copies them: what tells parents' rows apart. */
  readonly copied: readonly (readonly [column: number, parentColumn: number])[];
}

/** A foreign key as seen from the referenced relation: it only says which rows are referenced. */
export interface IncomingKey {
  /** schema.table quoted for SQL. */
  readonly sql: string;
  /** Quoted for SQL, in the same order. */
  readonly columns: readonly string[];
  readonly referencedColumns: readonly string[];
}

/** A remark about a relation that users should read before the first write. */
export interface Finding {
  readonly relation: string;
  readonly column: string | null;
  /** The columns whose values are at fault together; absent if it is one column, or not about values. */
  readonly columns?: readonly string[];
  /** Operations that it makes impossible; empty: none. */
  readonly prevents: readonly OperationKind[];
  readonly reason: string;
  readonly remedy: string;
  /** Tables that cannot get rows because of it; absent if there are none. */
  readonly behind?: readonly string[];
}

/** Returns the reason of a finding without the name of its table, which the server's messages repeat. */
export function causeOf({ relation, reason }: Finding): string {
  return reason.replaceAll(`"${relation.slice(relation.lastIndexOf('.') + 1).replaceAll('"', '')}"`, '"…"');
}
