import type { Check, Field, Type } from './model.js';
import { parseExpression } from './parse.js';

/** A CHECK of a relation or of a domain, as the queries build it. */
export interface CheckRow {
  name: string;
  text: string;
}

export function toCheck({ name, text }: CheckRow): Check {
  return { name, text, expression: parseExpression(text) };
}

/** A row of TYPES. */
export interface TypeRow {
  oid: number;
  nspname: string;
  typname: string;
  typtype: string;
  element: number;
  typdelim: string;
  is_array: boolean;
  base: number;
  typtypmod: number;
  typnotnull: boolean;
  labels: string[] | null;
  checks: CheckRow[];
  range_subtype: number | null;
  multirange_of: number | null;
  fields: Field[];
  extension: string | null;
}

/* Every type that a column uses, then what those are made of. */
export const TYPES = `
WITH RECURSIVE used AS (
  SELECT DISTINCT atttypid AS oid FROM pg_attribute
  WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped
  UNION
  SELECT part.oid FROM used JOIN pg_type AS whole ON whole.oid = used.oid,
       LATERAL (SELECT whole.typelem UNION ALL SELECT whole.typbasetype
                UNION ALL SELECT range.rngsubtype FROM pg_range AS range WHERE range.rngtypid = whole.oid
                UNION ALL SELECT range.rngtypid FROM pg_range AS range WHERE range.rngmultitypid = whole.oid
                UNION ALL SELECT field.atttypid FROM pg_attribute AS field
                          WHERE field.attrelid = whole.typrelid AND field.attnum > 0 AND NOT field.attisdropped) AS part (oid)
  WHERE part.oid <> 0
)
SELECT type.oid, namespace.nspname::text, type.typname::text, type.typtype::text, type.typelem AS element,
       type.typdelim::text, type.typsubscript = 'array_subscript_handler'::regproc AS is_array,
       type.typbasetype AS base, type.typtypmod, type.typnotnull,
       (SELECT array_agg(label.enumlabel::text ORDER BY label.enumsortorder) FROM pg_enum AS label
        WHERE label.enumtypid = type.oid) AS labels,
       (SELECT coalesce(json_agg(json_build_object('name', constr.conname, 'text', pg_get_expr(constr.conbin, 0))
                                 ORDER BY constr.conname), '[]')
        FROM pg_constraint AS constr WHERE constr.contypid = type.oid AND constr.contype = 'c') AS checks,
       (SELECT range.rngsubtype FROM pg_range AS range WHERE range.rngtypid = type.oid) AS range_subtype,
       (SELECT range.rngtypid FROM pg_range AS range WHERE range.rngmultitypid = type.oid) AS multirange_of,
       (SELECT coalesce(json_agg(json_build_object('name', field.attname, 'type', field.atttypid::int8, 'modifier', field.atttypmod,
                                                   'typeName', format_type(field.atttypid, field.atttypmod))
                                 ORDER BY field.attnum), '[]')
        FROM pg_attribute AS field
        WHERE type.typrelid <> 0 AND field.attrelid = type.typrelid AND field.attnum > 0 AND NOT field.attisdropped) AS fields,
       (SELECT extension.extname::text FROM pg_depend AS member JOIN pg_extension AS extension ON extension.oid = member.refobjid
        WHERE member.classid = 'pg_type'::regclass AND member.objid = type.oid
          AND member.refclassid = 'pg_extension'::regclass AND member.deptype = 'e') AS extension
FROM used
JOIN pg_type AS type ON type.oid = used.oid
JOIN pg_namespace AS namespace ON namespace.oid = type.typnamespace
ORDER BY namespace.nspname, type.typname`;

export function toType(row: TypeRow): Type {
  const name = { oid: row.oid, schema: row.nspname, name: row.typname };
  if (row.is_array) return { ...name, kind: 'array', element: row.element, delimiter: row.typdelim };
  switch (row.typtype) {
    case 'b':
      return { ...name, kind: 'base', extension: row.extension };
    case 'e':
      return { ...name, kind: 'enum', labels: row.labels ?? [] };
    case 'd':
      return {
        ...name,
        kind: 'domain',
        base: row.base,
        modifier: row.typtypmod,
        notNull: row.typnotnull,
        checks: row.checks.map(toCheck),
      };
    case 'r':
      return { ...name, kind: 'range', subtype: row.range_subtype! };
    case 'm':
      return { ...name, kind: 'multirange', range: row.multirange_of! };
    case 'c':
      return { ...name, kind: 'composite', fields: row.fields };
    default:
      return { ...name, kind: 'other', typtype: row.typtype };
  }
}
