import { columnsOf } from '../catalog/expression.js';
import type { Relation, UniqueKey } from '../catalog/model.js';
import type { Condition } from '../constraint/restriction.js';
import type { KeyDraft } from './keys.js';
import type { ColumnPlan, ForeignKeyPlan, Guard } from './plan.js';
import { formOf, isUnneeded, keysOf, type Search } from './search.js';

/** How a constraint is met: by construction, by values that the server has accepted, or not at all. */
export interface ConstraintNote {
  readonly relation: string;
  readonly name: string;
  readonly kind: 'unique' | 'foreign key' | 'check' | 'exclusion' | 'computed';
  readonly status: 'satisfied' | 'searched' | 'not satisfied';
  /** How, or why not. */
  readonly how: string;
}

/** The decisions of a relation's plan about its constraints. */
interface Decided {
  readonly label: string;
  readonly relation: Relation;
  readonly columns: readonly ColumnPlan[];
  readonly keys: KeyDraft;
  /** Partial indexes whose predicates no generated row meets. */
  readonly escaped: readonly UniqueKey[];
  readonly foreignKeys: readonly ForeignKeyPlan[];
  readonly conditions: readonly Condition[];
  readonly guards: readonly Guard[];
  readonly searches: readonly Search[];
  readonly open: readonly Condition[];
}

/** Returns notes on all constraints of a relation except searched ones, for which see `searchNotes`. */
export function constraintNotes(decided: Decided): ConstraintNote[] {
  const { label, relation, columns, foreignKeys, conditions, guards, searches, open } = decided;
  const note = (
    name: string,
    kind: ConstraintNote['kind'],
    status: ConstraintNote['status'],
    how: string,
  ): ConstraintNote => ({ relation: label, name, kind, status, how });
  const searched = new Set(searches.flatMap((search) => search.conditions));
  return [
    ...relation.uniqueKeys.map((key) => note(key.name, 'unique', 'satisfied', uniqueness(key, decided))),
    ...relation.foreignKeys.map((key) => {
      const planned = foreignKeys.some(({ name }) => name === key.name);
      const isNull = key.columns.some((name) => columns.find((column) => column.name === name)?.recipe.kind === 'null');
      const how = planned
        ? `references rows of ${key.referenced.schema}.${key.referenced.name} that no other connection deletes`
        : isNull
          ? 'one of its columns is always NULL, because it would reference a row that references this one'
          : 'its columns are filled by the server or by column_overrides, whose values are assumed to be valid';
      return note(key.name, 'foreign key', 'satisfied', how);
    }),
    ...conditions.flatMap((condition) => {
      if (open.includes(condition))
        return note(
          condition.name,
          'check',
          'not satisfied',
          'one of its columns is filled by the server or by column_overrides',
        );
      if (guards.some(({ name }) => name === condition.name))
        return note(condition.name, 'check', 'satisfied', 'rows that violate it are generated again');
      if (searched.has(condition.name)) return [];
      const names = [...new Set(columnsOf(condition.expression))].join(', ');
      return note(condition.name, 'check', 'satisfied', `values of ${names} are chosen to meet it`);
    }),
    ...relation.exclusions.map(({ name }) =>
      decided.keys.exclusions.includes(name)
        ? note(name, 'exclusion', 'not satisfied', 'none of its columns can take values that never overlap')
        : note(name, 'exclusion', 'satisfied', 'values are consecutive and never overlap'),
    ),
  ];
}

function uniqueness(key: UniqueKey, { relation, columns, keys, escaped }: Decided): string {
  if (escaped.includes(key)) return 'no row meets the predicate of this partial index';
  const names = key.columns.map((name) => relation.attributes.findIndex((attribute) => attribute.name === name));
  const numbered = names.find((column) => keys.ordinals.has(column));
  if (numbered !== undefined) return `every row gets a different value of ${columns[numbered]!.name}`;
  return names.some((column) => columns[column]!.source === 'server')
    ? 'the server generates its values'
    : 'each lane remembers the values in use';
}

/** Returns notes on the conditions of a search. `accepted`: positions of the candidates that the server accepts. */
export function searchNotes(search: Search, accepted: readonly number[]): ConstraintNote[] {
  // Guards have notes of their own.
  if (search.isGuarded) return [];
  const names = [...new Set(search.conditions)];
  const kind = search.isComputed ? 'computed' : 'check';
  const note = (status: ConstraintNote['status'], how: string): ConstraintNote[] =>
    names.map((name) => ({ relation: search.label, name, kind, status, how }));
  if (isUnneeded(search, accepted)) return note('satisfied', 'the server accepts all ordinary values of its columns');
  if (formOf(search, accepted) !== undefined)
    return note('satisfied', 'the server accepts numbered values, of which there is no end');
  const count = search.isKey ? keysOf(search, accepted).length : accepted.length;
  const tried = search.candidates.length;
  return count === 0
    ? note('not satisfied', `the server rejected all ${tried} values that were tried`)
    : note('searched', `the server accepted ${count} of ${tried} values that were tried`);
}
