import type { Expression } from './expression.js';
import type { Flavour } from './flavour.js';

/**
 * The part of pg_catalog that the generator needs, as frozen plain data in an order of our own (schema and name by
 * code point), so that neither OIDs nor physical order can reach the plan. Names are those of pg_catalog.
 */
export interface Catalog {
  readonly server: Server;
  /** Targeted schemas' relations and, transitively, what their foreign keys reference. */
  readonly relations: readonly Relation[];
  readonly types: ReadonlyMap<number, Type>;
  /** Relations of the targeted schemas that are no tables, for messages: qualified name → what it is. */
  readonly others: ReadonlyMap<string, string>;
  /** Texts of the database's own functions by lower-case name, if triggers or conditions may call them. */
  readonly functions: ReadonlyMap<string, readonly string[]>;
  /** Names of existing objects (roles, tables, functions, …) by kind, for the kinds that functions look up. */
  readonly names: ReadonlyMap<string, readonly string[]>;
}

export interface Server {
  /** As `server_version_num`: 180004. */
  readonly version: number;
  readonly versionText: string;
  readonly flavour: Flavour;
  readonly database: string;
  readonly user: string;
  readonly superuser: boolean;
  readonly readOnly: boolean;
  readonly encoding: string;
  readonly schemas: readonly string[];
  /** The role's search_path with the schemas that were asked for behind it; null where that adds none. */
  readonly searchPath: string | null;
  /** True where `tsm_system_rows` is installed. */
  readonly systemRows: boolean;
  /** True where session_replication_role is replica: foreign keys are not checked and take nothing along, ordinary triggers do not fire. */
  readonly isReplicaRole: boolean;
}

export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: 'table' | 'partitioned';
  /** True where other tables inherit from it (INHERITS): its name alone then means their rows as well. */
  readonly inherited: boolean;
  /** reltuples: decides how rows are counted, never what is generated. */
  readonly estimatedRows: number;
  readonly privileges: Privileges;
  /** The extension that the table belongs to; null: none. */
  readonly extension: string | null;
  /** True where rules rewrite what is executed on the table; COPY goes past them. */
  readonly hasRules: boolean;
  /** True where row security decides which rows we may see and write. */
  readonly rowSecurity: boolean;
  /** True if triggers or rules run when its rows change, including those of its partitions. */
  readonly reacts: boolean;
  /** Its triggers that are enabled, without those of constraints, in the order in which they fire. */
  readonly triggers: readonly Trigger[];
  /** True where a publication may refuse UPDATE and DELETE, since nothing tells it which row it was. */
  readonly lacksReplicaIdentity: boolean;
  /**
   * What a logical replication stream can tell of its changes: old rows as a whole, or by a key; of a table without a replica
   * identity INSERTs alone, of an unlogged one nothing.
   */
  readonly streamed: 'whole rows' | 'by key' | 'inserts' | 'nothing';
  readonly checks: readonly Check[];
  /** What the server computes from a row when it is written, beside its CHECKs: index expressions, generated columns. */
  readonly computed: readonly Check[];
  readonly exclusions: readonly Exclusion[];
  /** partstrat of pg_partitioned_table (l, r, h), and what partitions there are. */
  readonly partitioning: {
    readonly strategy: string;
    readonly partitions: number;
    readonly hasDefault: boolean;
    /** Partitions that take no rows of ours, since they have foreign keys of their own. */
    readonly leftOut: number;
    /** Columns that decide into which partition a row falls. */
    readonly columns: readonly string[];
    /** Columns of a hash key for some of whose remainders there is no partition. */
    readonly hashedWithGaps: readonly string[];
  } | null;
  readonly attributes: readonly Attribute[];
  /** Unique indexes, the primary key first, then by name. */
  readonly uniqueKeys: readonly UniqueKey[];
  readonly foreignKeys: readonly ForeignKey[];
  /** Foreign keys of any relation, targeted or not, that reference this one. */
  readonly referencedBy: readonly ForeignKey[];
}

/** A CHECK constraint: its text as the server writes it, and what that means. */
export interface Check {
  readonly name: string;
  readonly text: string;
  readonly expression: Expression;
}

export interface Trigger {
  readonly name: string;
  readonly isBefore: boolean;
  readonly events: { readonly insert: boolean; readonly update: boolean; readonly delete: boolean };
  /** schema.name of its function, as messages of the server write it where it is called. */
  readonly function: string;
  /** True for a constraint trigger that may run at the end of the transaction. */
  readonly isDeferrable: boolean;
  /** prosrc: its body, in whatever language. */
  readonly source: string;
  /** True where its function runs with the rights of its owner. */
  readonly asOwner: boolean;
  /** Tables that it writes, without their schemas; null where that cannot be read from its text. */
  readonly writes: readonly string[] | null;
  /** Of the function's CREATE TRIGGER, parted by commas; empty: none. */
  readonly arguments: string;
}

/** EXCLUDE, or WITHOUT OVERLAPS: no two rows for which all elements' operators hold. */
export interface Exclusion {
  readonly name: string;
  readonly elements: readonly { readonly expression: Expression; readonly operator: string }[];
}

interface Privileges {
  /** USAGE on the schema. */
  readonly schema: boolean;
  readonly select: boolean;
  readonly insert: boolean;
  readonly update: boolean;
  readonly delete: boolean;
}

export interface Attribute {
  readonly name: string;
  /** attnum: only to resolve references while reading; never an order or a label. */
  readonly number: number;
  readonly type: number;
  /** atttypmod; −1 where none. */
  readonly modifier: number;
  /** The type as `format_type` writes it, with length or precision. */
  readonly typeName: string;
  readonly notNull: boolean;
  readonly identity: 'none' | 'always' | 'by default';
  readonly generated: boolean;
  /** What a generated column is made of; null for any other. */
  readonly generation: Check | null;
  /** Text of the default, or null. */
  readonly default: string | null;
  /** Qualified and quoted name of the sequence that belongs to the column, or that its default draws from; or null. */
  readonly sequence: string | null;
  /** False for a sequence that only the default names: others may draw from it as well. */
  readonly ownsSequence: boolean;
}

export interface UniqueKey {
  readonly name: string;
  readonly primary: boolean;
  /** Columns that it is over, those in expressions among them. */
  readonly columns: readonly string[];
  /** Of an index over expressions: their text, and the columns that stand in it by themselves. */
  readonly computed: {
    readonly text: string;
    readonly plain: readonly string[];
    /** Columns that the expressions are over. */
    readonly sources: readonly string[];
  } | null;
  /** False for an index with a predicate or with expressions: rows of different tuples may still collide, or equal ones not. */
  readonly exact: boolean;
  /** Of a partial index: the condition under which a row is not compared at all. */
  readonly escape: Check | null;
  /** True where rows that differ in nothing but NULLs collide. */
  readonly nullsNotDistinct: boolean;
}

export type ReferentialAction = 'no action' | 'restrict' | 'cascade' | 'set null' | 'set default';

export interface QualifiedName {
  readonly schema: string;
  readonly name: string;
}

export interface ForeignKey {
  readonly name: string;
  readonly referencing: QualifiedName;
  readonly columns: readonly string[];
  readonly referenced: QualifiedName;
  readonly referencedColumns: readonly string[];
  /** Where one partition alone is referenced: its bounds, which the referenced row must lie within. */
  readonly within: Check | null;
  readonly onDelete: ReferentialAction;
  /** Columns that ON DELETE SET NULL or SET DEFAULT changes: all, or those listed (PostgreSQL 15). */
  readonly onDeleteColumns: readonly string[];
  readonly deferrable: boolean;
  readonly matchFull: boolean;
  /** True where we may see which rows it references. */
  readonly readable: boolean;
}

export type Type =
  | (TypeName & { readonly kind: 'base'; readonly extension: string | null })
  | (TypeName & { readonly kind: 'enum'; readonly labels: readonly string[] })
  | (TypeName & { readonly kind: 'array'; readonly element: number; readonly delimiter: string })
  | (TypeName & {
      readonly kind: 'domain';
      readonly base: number;
      readonly modifier: number;
      readonly notNull: boolean;
      /** Conditions on the column `value`. */
      readonly checks: readonly Check[];
    })
  | (TypeName & { readonly kind: 'range'; readonly subtype: number })
  | (TypeName & { readonly kind: 'multirange'; readonly range: number })
  | (TypeName & { readonly kind: 'composite'; readonly fields: readonly Field[] })
  | (TypeName & { readonly kind: 'other'; readonly typtype: string });

/** A field of a composite type. */
export interface Field {
  readonly name: string;
  readonly type: number;
  readonly modifier: number;
  readonly typeName: string;
}

interface TypeName {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** A relation's name as users read and write it: schema.table, each part quoted where `quote_ident` would. */
export function labelOf(relation: QualifiedName): string {
  return `${quoteIfNeeded(relation.schema)}.${quoteIfNeeded(relation.name)}`;
}

/** An identifier quoted for SQL, always: the one place where names enter a statement. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** schema.table quoted for SQL. */
export function quoteQualified(relation: QualifiedName): string {
  return `${quoteIdentifier(relation.schema)}.${quoteIdentifier(relation.name)}`;
}

/** A relation's own rows, for FROM, UPDATE and DELETE. */
export function rowsOf(relation: QualifiedName & { readonly inherited: boolean }): string {
  return relation.inherited ? `ONLY ${quoteQualified(relation)}` : quoteQualified(relation);
}

function quoteIfNeeded(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) && !RESERVED.has(name) ? name : quoteIdentifier(name);
}

/* Key words that `quote_ident` quotes: all but the unreserved ones (appendix C of PostgreSQL's manual, 18). */
const RESERVED: ReadonlySet<string> = new Set(
  `all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast
  char character check coalesce collate collation column concurrently constraint create cross current_catalog
  current_date current_role current_schema current_time current_timestamp current_user dec decimal default deferrable
  desc distinct do else end except exists extract false fetch float for foreign freeze from full grant greatest group
  grouping having ilike in initially inner inout int integer intersect interval into is isnull join json json_array
  json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value
  lateral leading least left like limit localtime localtimestamp merge_action national natural nchar none normalize not
  notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary
  real references returning right row select session_user setof similar smallint some substring symmetric system_user
  table tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic
  verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi
  xmlroot xmlserialize xmltable`.split(/\s+/),
);

/** Sorts by code point: the same order on every machine, whatever its locale. */
export function byCodePoint(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
