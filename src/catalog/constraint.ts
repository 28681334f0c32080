import { columnsOf } from './expression.js';
import {
  byCodePoint,
  type Check,
  type Exclusion,
  type ForeignKey,
  quoteIdentifier,
  type ReferentialAction,
  type UniqueKey,
} from './model.js';
import { parseExpression } from './parse.js';

export interface IndexRow {
  indrelid: number;
  index_name: string;
  indisunique: boolean;
  indisprimary: boolean;
  columns: string[];
  on_partition: boolean;
  expressions: string | null;
  predicate: string | null;
  /** Of an index on one partition: its bounds. */
  bound: string | null;
  nulls_not_distinct: boolean;
}

/*
 * Unique indexes, and all whose expressions are evaluated when a row is written. Those that a partition has by itself
 * hold for its rows, so they count for the whole table. indnullsnotdistinct came with 15, so it is asked through to_jsonb.
 * Expressions stand as 0 in indkey.
 */
export const INDEXES = `
SELECT CASE WHEN owner.relispartition THEN pg_partition_root(owner.oid) ELSE owner.oid END AS indrelid,
       class.relname::text AS index_name, index.indisunique,
       index.indisprimary AND NOT owner.relispartition AS indisprimary,
       owner.relispartition AS on_partition,
       CASE WHEN owner.relispartition THEN pg_get_partition_constraintdef(owner.oid) END AS bound,
       ARRAY(SELECT attribute.attname::text
             FROM unnest((index.indkey::int2[])[0:index.indnkeyatts - 1]) WITH ORDINALITY AS key (attnum, position)
             JOIN pg_attribute AS attribute ON attribute.attrelid = owner.oid AND attribute.attnum = key.attnum
             ORDER BY key.position) AS columns,
       pg_get_expr(index.indexprs, index.indrelid) AS expressions, pg_get_expr(index.indpred, index.indrelid) AS predicate,
       coalesce((to_jsonb(index) ->> 'indnullsnotdistinct')::bool, false) AS nulls_not_distinct
FROM pg_index AS index
JOIN pg_class AS class ON class.oid = index.indexrelid
JOIN pg_class AS owner ON owner.oid = index.indrelid
WHERE (index.indisunique OR index.indexprs IS NOT NULL OR index.indpred IS NOT NULL) AND index.indislive
  AND (owner.oid = ANY ($1::oid[])
       OR (owner.relispartition AND pg_partition_root(owner.oid) = ANY ($1::oid[])
           AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = class.oid)))
ORDER BY 1, class.relname`;

export function toUniqueKey(row: IndexRow): UniqueKey {
  return {
    name: row.index_name,
    primary: row.indisprimary,
    columns: [
      ...new Set([
        ...row.columns,
        ...columnsOfOneValue(row.bound),
        ...(row.expressions === null ? [] : columnsOf(parseExpression(`ROW(${row.expressions})`))),
      ]),
    ],
    computed: row.expressions === null ? null : computedKey(row.expressions, row.columns),
    exact: row.expressions === null && row.predicate === null && !row.on_partition,
    escape: row.predicate === null ? null : escapeOf(row.index_name, row.predicate),
    // An expression may give NULLs a value, so that they are equal after all.
    nullsNotDistinct: row.nulls_not_distinct || /coalesce|is (not )?null/i.test(row.expressions ?? ''),
  };
}

function computedKey(text: string, plain: readonly string[]): UniqueKey['computed'] {
  return { text, plain, sources: columnsOf(parseExpression(`ROW(${text})`)) };
}

/** Columns that have one value in all of a partition: rows of other values lie in others, and are not compared. */
function columnsOfOneValue(bound: string | null): string[] {
  return bound === null || /\b(ANY|OR|satisfies_hash_partition)\b|[<>]/.test(bound)
    ? []
    : columnsOf(parseExpression(bound));
}

/** A key over generated columns as one over the columns that they are made of: like an index over their expressions. */
export function overSources(key: UniqueKey, attributes: readonly GeneratedRow[]): UniqueKey {
  const texts = new Map(
    attributes.flatMap(({ attname, attgenerated, default_text: text }) =>
      attgenerated === '' || text === null ? [] : [[attname, text] as const],
    ),
  );
  // What names rows stays what it is.
  if (key.primary || !key.columns.some((name) => texts.has(name))) return key;
  const sources = key.columns.flatMap((name) => {
    const text = texts.get(name);
    return text === undefined ? [name] : columnsOf(parseExpression(text));
  });
  const plain = key.columns.filter((name) => !texts.has(name));
  const text = key.columns.flatMap((name) => texts.get(name) ?? []).join(', ');
  return { ...key, columns: [...new Set(sources)], computed: computedKey(text, plain), exact: false };
}

function escapeOf(name: string, predicate: string): Check {
  const text = `(${predicate}) IS NOT TRUE`;
  return { name, text, expression: parseExpression(text) };
}

/** What the catalog says about a generated column. */
interface GeneratedRow {
  readonly attname: string;
  readonly attgenerated: string;
  readonly default_text: string | null;
}

/** The same, with what decides whether a value can be stored in it. */
interface StoredRow extends GeneratedRow {
  readonly attnotnull: boolean;
  /** With its modifier, as `format_type` writes it. */
  readonly type_name: string;
}

/** Expressions whose results may be no whole number, or too large for one. */
const INEXACT = /\bextract\b|date_part|round|floor|ceil|trunc|numeric|double precision/i;
const WHOLE: Readonly<Record<string, string>> = {
  smallint: 'BETWEEN -32768 AND 32767',
  integer: 'BETWEEN -2147483648 AND 2147483647',
  bigint: 'BETWEEN -9223372036854775808 AND 9223372036854775807',
};

/**
 * What must hold of a generated value for it to be stored. The server casts it to the column's type, which the expression does
 * not show.
 */
export function storedChecks(attributes: readonly StoredRow[]): Check[] {
  return attributes.flatMap(({ attname, attgenerated, attnotnull, type_name: type, default_text: source }) => {
    // The author of the table has seen that a constant fits.
    if (attgenerated === '' || source === null || columnsOf(parseExpression(source)).length === 0) return [];
    const column = quoteIdentifier(attname);
    const [, length] = /^character(?: varying)?\((\d+)\)$/.exec(type) ?? [];
    const [, precision, scale] = /^numeric\((\d+),(\d+)\)$/.exec(type) ?? [];
    const whole = INEXACT.test(source) ? WHOLE[type] : undefined;
    const texts = [
      ...(attnotnull ? [`${column} IS NOT NULL`] : []),
      ...(length === undefined ? [] : [`char_length((${column})::text) <= ${length}`]),
      ...(precision === undefined
        ? []
        : [
            `abs(round((${column})::numeric, ${scale})) < 1${'0'.repeat(Math.max(0, Number(precision) - Number(scale)))}`,
          ]),
      ...(whole === undefined ? [] : [`${column} ${whole}`]),
    ];
    const name = `the generated column ${attname}`;
    return texts.map((text) => ({ name, text, expression: parseExpression(text) }));
  });
}

/** What the server computes from a row when it is written: expressions and predicates of indexes, generated columns. */
export function computedOf(indexes: readonly IndexRow[], attributes: readonly GeneratedRow[]): Check[] {
  const computed = new Map<string, Check>();
  const add = (name: string, text: string | null) => {
    if (text !== null && !computed.has(text))
      computed.set(text, { name, text, expression: parseExpression(`ROW(${text})`) });
  };
  for (const { index_name: name, expressions, predicate } of indexes) {
    add(name, expressions);
    add(name, predicate);
  }
  for (const { attname, attgenerated, default_text: text } of attributes) if (attgenerated !== '') add(attname, text);
  return [...computed.values()];
}

export interface ExclusionRow {
  name: string;
  partial: boolean;
  elements: { text: string; operator: string }[];
}

export function toExclusion({ name, elements }: ExclusionRow): Exclusion {
  return {
    name,
    elements: elements.map(({ text, operator }) => ({ expression: parseExpression(text), operator })),
  };
}

export function byPrimaryThenName(a: UniqueKey, b: UniqueKey): number {
  return Number(b.primary) - Number(a.primary) || byCodePoint(a.name, b.name);
}

export interface ForeignRow {
  conname: string;
  conrelid: number;
  confrelid: number;
  referencing_schema: string;
  referencing_name: string;
  columns: string[];
  referenced_schema: string;
  referenced_name: string;
  referenced_columns: string[];
  /** The partition that has the key by itself; null for a key of the whole table. */
  leaf: number | null;
  /** Bounds of the partition that is referenced; null where the whole table is. */
  target_bound: string | null;
  confdeltype: string;
  delete_columns: string[] | null;
  condeferrable: boolean;
  confmatchtype: string;
  can_read: boolean;
}

/* Keys of our relations and of others that reference them: these decide whether an existing row may be deleted. confdelsetcols came with 15, so it is asked through to_jsonb. */
export const FOREIGN_KEYS = `
SELECT constr.conname::text, referenced.oid AS confrelid,
       CASE WHEN leaf.relispartition THEN leaf.oid::int8 END AS leaf, referencing.oid AS conrelid,
       referencing_namespace.nspname::text AS referencing_schema, referencing.relname::text AS referencing_name,
       ARRAY(SELECT attribute.attname::text FROM unnest(constr.conkey) WITH ORDINALITY AS key (attnum, position)
             JOIN pg_attribute AS attribute ON attribute.attrelid = constr.conrelid AND attribute.attnum = key.attnum
             ORDER BY key.position) AS columns,
       referenced_namespace.nspname::text AS referenced_schema, referenced.relname::text AS referenced_name,
       ARRAY(SELECT attribute.attname::text FROM unnest(constr.confkey) WITH ORDINALITY AS key (attnum, position)
             JOIN pg_attribute AS attribute ON attribute.attrelid = constr.confrelid AND attribute.attnum = key.attnum
             ORDER BY key.position) AS referenced_columns,
       CASE WHEN target.relispartition THEN pg_get_partition_constraintdef(target.oid) END AS target_bound,
       constr.confdeltype::text,
       (SELECT array_agg(attribute.attname::text ORDER BY attribute.attnum)
        FROM jsonb_array_elements_text(CASE jsonb_typeof(to_jsonb(constr) -> 'confdelsetcols')
                                       WHEN 'array' THEN to_jsonb(constr) -> 'confdelsetcols' END) AS listed (attnum)
        JOIN pg_attribute AS attribute ON attribute.attrelid = constr.conrelid
             AND attribute.attnum = listed.attnum::int) AS delete_columns,
       constr.condeferrable, constr.confmatchtype::text,
       has_schema_privilege(referencing_namespace.oid, 'USAGE') AND has_table_privilege(referencing.oid, 'SELECT') AS can_read
FROM pg_constraint AS constr
JOIN pg_class AS leaf ON leaf.oid = constr.conrelid
JOIN pg_class AS referencing ON referencing.oid = CASE WHEN leaf.relispartition THEN pg_partition_root(leaf.oid) ELSE leaf.oid END
JOIN pg_namespace AS referencing_namespace ON referencing_namespace.oid = referencing.relnamespace
JOIN pg_class AS target ON target.oid = constr.confrelid
JOIN pg_class AS referenced ON referenced.oid = CASE WHEN target.relispartition THEN pg_partition_root(target.oid) ELSE target.oid END
JOIN pg_namespace AS referenced_namespace ON referenced_namespace.oid = referenced.relnamespace
WHERE constr.contype = 'f' AND constr.conparentid = 0 AND (referencing.oid = ANY ($1::oid[]) OR referenced.oid = ANY ($1::oid[]))
ORDER BY referencing_namespace.nspname, referencing.relname, constr.conname`;

const DELETE_ACTIONS: Readonly<Record<string, ReferentialAction>> = {
  a: 'no action',
  r: 'restrict',
  c: 'cascade',
  n: 'set null',
  d: 'set default',
};

export function toForeignKey(row: ForeignRow): ForeignKey {
  return {
    name: row.conname,
    referencing: { schema: row.referencing_schema, name: row.referencing_name },
    columns: row.columns,
    referenced: { schema: row.referenced_schema, name: row.referenced_name },
    referencedColumns: row.referenced_columns,
    within:
      row.target_bound === null
        ? null
        : { name: row.conname, text: row.target_bound, expression: parseExpression(row.target_bound) },
    onDelete: DELETE_ACTIONS[row.confdeltype] ?? 'no action',
    onDeleteColumns: row.delete_columns ?? row.columns,
    deferrable: row.condeferrable,
    matchFull: row.confmatchtype === 'f',
    readable: row.can_read,
  };
}

/** Without those that say the same: each partition may have one of its own. */
export function distinct(keys: readonly ForeignKey[]): ForeignKey[] {
  const byMeaning = new Map(
    keys.map((key) => [JSON.stringify([key.referencing, key.columns, key.referencedColumns, key.onDelete]), key]),
  );
  return [...byMeaning.values()];
}
