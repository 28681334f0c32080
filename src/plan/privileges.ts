import {
  type Catalog,
  labelOf,
  type QualifiedName,
  quoteIdentifier,
  quoteQualified,
  type Relation,
} from '../catalog/model.js';
import type { Config } from '../config/load.js';
import type { Problem } from '../config/problem.js';
import { OPERATION_KINDS, type Plan } from './plan.js';
import { operationWeightsOf } from './target.js';

type Privilege = 'select' | 'insert' | 'update' | 'delete';

/** The relations of a plan by their role. */
export interface Roles {
  readonly targeted: readonly Relation[];
  /** Not targeted; they get rows that others need. */
  readonly filled: readonly Relation[];
  /** Not targeted; their rows are used as parents. */
  readonly referenced: readonly Relation[];
}

/** Privileges that the user needs on a table, and the purpose (empty for targeted tables). */
export interface Need {
  readonly at: QualifiedName;
  readonly privileges: readonly Privilege[];
  /** True if USAGE on its schema is needed. */
  readonly schema: boolean;
  readonly purpose: string;
}

/** Returns further relations that tables of the run reference. */
export function referencedBeside(written: readonly Relation[], catalog: Catalog): Relation[] {
  const known = new Set(written.map(labelOf));
  return catalog.relations.filter(
    (relation) =>
      !known.has(labelOf(relation)) && relation.referencedBy.some((key) => known.has(labelOf(key.referencing))),
  );
}

/** Returns the minimal privileges that a run needs on tables. */
export function neededPrivileges(
  { targeted, filled, referenced }: Roles,
  config: Config,
  rowSelection: Plan['rowSelection'],
): Need[] {
  const writtenIn = (relation: Relation) => {
    const weights = operationWeightsOf(config, labelOf(relation));
    return OPERATION_KINDS.filter((kind) => weights[kind] > 0);
  };
  // A sampled parent is locked, which needs the UPDATE privilege.
  const read: Privilege[] = rowSelection === 'system_rows' ? ['select', 'update'] : ['select'];
  const on = (relation: Relation, privileges: readonly Privilege[], purpose: string): Need => ({
    at: relation,
    privileges,
    schema: true,
    purpose,
  });
  const known = new Set([...targeted, ...filled, ...referenced].map(labelOf));
  const referencing = new Map(
    targeted
      .flatMap(({ referencedBy }) => referencedBy)
      .filter((key) => !known.has(labelOf(key.referencing)))
      .map((key) => [labelOf(key.referencing), key]),
  );
  return [
    ...targeted.map((relation) => on(relation, ['select', ...writtenIn(relation)], '')),
    ...filled.map((relation) =>
      on(relation, [...new Set<Privilege>([...read, 'insert'])], 'to insert rows that others need'),
    ),
    ...referenced.map((relation) => on(relation, read, 'to reference its rows')),
    ...[...referencing.values()].map(
      ({ referencing: at, referenced: target }): Need => ({
        at,
        privileges: ['select'],
        schema: true,
        purpose: `to see which rows of ${labelOf(target)} it references`,
      }),
    ),
  ];
}

/** Returns as few GRANT statements as possible, each with a semicolon. */
export function grantStatements(needs: readonly Need[], role: string): string[] {
  const to = ` TO ${quoteIdentifier(role)};`;
  const schemas = [...new Set(needs.filter(({ schema }) => schema).map(({ at }) => quoteIdentifier(at.schema)))];
  const tables = new Map<string, Set<string>>();
  for (const { at, privileges } of needs) {
    if (privileges.length === 0) continue;
    const granted = privileges.join(', ').toUpperCase();
    tables.set(granted, (tables.get(granted) ?? new Set()).add(quoteQualified(at)));
  }
  return [
    ...(schemas.length > 0 ? [`GRANT USAGE ON SCHEMA ${schemas.join(', ')}${to}`] : []),
    ...[...tables].map(([privileges, names]) => `GRANT ${privileges} ON ${[...names].join(', ')}${to}`),
  ];
}

/** Reports missing privileges as one block of GRANTs and, for tables that are not targeted, their purpose. */
export function checkPrivileges(
  roles: Roles,
  config: Config,
  rowSelection: Plan['rowSelection'],
  catalog: Catalog,
): Problem[] {
  const unreadable = new Set(
    roles.targeted
      .flatMap(({ referencedBy }) => referencedBy)
      .filter(({ readable }) => !readable)
      .map(({ referencing }) => labelOf(referencing)),
  );
  const byLabel = new Map(catalog.relations.map((relation) => [labelOf(relation), relation]));
  const lacking = neededPrivileges(roles, config, rowSelection).flatMap((need): Need[] => {
    const held = byLabel.get(labelOf(need.at))?.privileges;
    // For a table outside the schemas, only this is known.
    if (held === undefined) return unreadable.has(labelOf(need.at)) ? [need] : [];
    const privileges = need.privileges.filter((privilege) => !held[privilege]);
    return privileges.length > 0 || !held.schema ? [{ ...need, privileges, schema: !held.schema }] : [];
  });
  if (lacking.length === 0) return [];
  const { user } = catalog.server;
  const beside = lacking.filter(({ purpose }) => purpose !== '').map(({ at, purpose }) => `${labelOf(at)} ${purpose}`);
  const why = beside.length === 0 ? '' : ` (${shortList(beside)})`;
  const statements = grantStatements(lacking, user).map((statement) => `\n  ${statement}`);
  return [
    {
      place: `user "${user}"`,
      key: '',
      message: `lacks privileges on ${shortList(lacking.map(({ at }) => labelOf(at)))}${why}; run:${statements.join('')}`,
    },
  ];
}

const MOST_NAMED = 6;

function shortList(names: readonly string[]): string {
  const rest = names.length - MOST_NAMED;
  return rest > 0 ? `${names.slice(0, MOST_NAMED).join(', ')} and ${rest} more` : names.join(', ');
}
