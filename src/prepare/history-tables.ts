import { type Catalog, labelOf, type Relation } from '../catalog/model.js';
import type { HistoryTable } from '../history/history-file.js';
import type { Plan } from '../plan/plan.js';

/** Returns what a history must know about the tables, so that its changes can be compared without a database. */
export function historyTables(catalog: Catalog, plan: Plan): HistoryTable[] {
  const byLabel = new Map(catalog.relations.map((relation) => [labelOf(relation), relation]));
  const written = writtenByTriggers(catalog);
  const rekeyed = new Set(
    plan.relations.flatMap(({ label, key, columns }) => {
      const names = key.map((column) => columns[column]!.name);
      return changesKeys(byLabel.get(label)!, names) ? [label] : [];
    }),
  );
  return plan.relations.map(({ label, key, columns }) => {
    const relation = byLabel.get(label)!;
    const keys = key.map((column) => columns[column]!.name);
    const isChanged = mayChangeRows(relation);
    const types = relation.attributes.map(
      ({ name, type, modifier }) => [name, typeText(catalog, type, modifier)] as const,
    );
    const following = relation.foreignKeys
      .filter(({ referenced }) => rekeyed.has(labelOf(referenced)))
      .flatMap((foreignKey) => foreignKey.columns);
    const incomparable = types.flatMap(([name, text]): [string, string][] => {
      if (keys.includes(name)) return [];
      if (isChanged) return [[name, 'a trigger or rule may change its value']];
      if (following.includes(name)) return [[name, 'it references a key that a trigger changes']];
      return text === null ? [[name, 'only the server knows how it stores values of this type']] : [];
    });
    return {
      schema: relation.schema,
      table: relation.name,
      columns: Object.fromEntries(types.map(([name, text]) => [name, text ?? 'unknown'])),
      incomparable: Object.fromEntries(incomparable),
      streamed: streamedOf(relation, keys),
      skipped: rekeyed.has(label) ? 'a trigger changes the key of rows that are updated' : null,
      isTouched: written === null || written.has(relation.name) || following.length > 0,
    };
  });
}

/* If rows have another key in the stream than in the plan, their updates cannot be assigned to rows. */
function streamedOf({ streamed, uniqueKeys }: Relation, key: readonly string[]): HistoryTable['streamed'] {
  if (streamed === 'nothing' || streamed === 'inserts') return streamed;
  if (streamed === 'whole rows') return 'everything';
  const primary = uniqueKeys.find((each) => each.primary)?.columns ?? [];
  const isSame = key.length > 0 && primary.length === key.length && primary.every((column) => key.includes(column));
  return isSame ? 'everything' : 'inserts';
}

function changesKeys({ triggers }: Relation, keys: readonly string[]): boolean {
  const assigns = (source: string, key: string) =>
    new RegExp(`\\bnew\\."?${key.replace(/\W/g, '\\$&')}"?\\s*:?=(?!=)`, 'i').test(source);
  return triggers.some(
    ({ isBefore, events, source }) => isBefore && events.update && keys.some((key) => assigns(source, key)),
  );
}

function mayChangeRows({ reacts, triggers }: Relation): boolean {
  // A table that reacts without triggers has rules, or partitions with triggers.
  return reacts && (triggers.length === 0 || triggers.some(({ isBefore }) => isBefore));
}

/** Returns the names of tables that triggers write; null if that cannot be determined. */
function writtenByTriggers({ relations }: Catalog): ReadonlySet<string> | null {
  const names = new Set<string>();
  for (const { triggers } of relations)
    for (const { writes } of triggers) {
      if (writes === null) return null;
      for (const name of writes) names.add(name);
    }
  return names;
}

/** Types whose texts the server stores unchanged, or in a known form. */
const KNOWN: Readonly<Record<string, string>> = {
  ...{ int2: 'smallint', int4: 'integer', int8: 'bigint', oid: 'oid', numeric: 'numeric', float4: 'real' },
  ...{ float8: 'double precision', bool: 'boolean', text: 'text', varchar: 'character varying', name: 'name' },
  ...{ citext: 'text', bpchar: 'character', bytea: 'bytea', json: 'json', jsonb: 'jsonb', uuid: 'uuid', date: 'date' },
  ...{ timestamp: 'timestamp without time zone', timestamptz: 'timestamp with time zone' },
  ...{ time: 'time without time zone', timetz: 'time with time zone', interval: 'interval' },
  ...{ inet: 'inet', macaddr: 'macaddr', macaddr8: 'macaddr8', bit: 'bit', varbit: 'bit varying' },
  ...{ int4range: 'int4range', int8range: 'int8range', numrange: 'numrange', daterange: 'daterange' },
  ...{ tsrange: 'tsrange', tstzrange: 'tstzrange', cidr: 'cidr' },
};

/** Returns a type in the form of `format_type`, domains as their base type and enums as text; null if unknown. */
function typeText(catalog: Catalog, oid: number, modifier: number): string | null {
  const type = catalog.types.get(oid);
  switch (type?.kind) {
    case 'domain':
      return typeText(catalog, type.base, type.modifier);
    case 'enum':
      return 'text';
    case 'array': {
      const element = typeText(catalog, type.element, modifier);
      return element === null || type.delimiter !== ',' ? null : `${element}[]`;
    }
    case 'base':
    case 'range': {
      const known = Object.hasOwn(KNOWN, type.name) ? KNOWN[type.name]! : null;
      return known === null ? null : known + modifierText(type.name, modifier);
    }
    default:
      return null;
  }
}

/** Returns length or precision from atttypmod. Source: the types' `typmodout` functions. */
function modifierText(type: string, modifier: number): string {
  if (modifier < 0) return '';
  if (type === 'numeric') {
    const packed = modifier - 4;
    // The scale has eleven bits and a sign.
    const scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
    return `(${(packed >> 16) & 0xffff},${scale})`;
  }
  if (type === 'varchar' || type === 'bpchar') return `(${modifier - 4})`;
  if (type === 'interval') return (modifier & 0xffff) === 0xffff ? '' : `(${modifier & 0xffff})`;
  return `(${modifier})`;
}
