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
import type { Plan } from './plan.js';

type Privilege = 'select' | 'insert' | 'update' | 'delete';

/** The relations of a plan by what is done with them. */
interface Roles {
  readonly targeted: readonly Relation[];
  /** Not targeted; take rows where others need them. */
  readonly filled: readonly Relation[];
  /** Not targeted; their rows serve as parents. */
  readonly referenced: readonly Relation[];
}

/** Reports what the user may not do, with the GRANT that would help and, beyond targeted tables, what it is needed for. */
export function checkPrivileges(
  { targeted, filled, referenced }: Roles,
  { operationWeights: weights }: Config,
  rowSelection: Plan['rowSelection'],
  catalog: Catalog,
): Problem[] {
  const written = (['insert', 'update', 'delete'] as const).filter(
    (privilege) => weights[privilege.toUpperCase() as keyof typeof weights] > 0,
  );
  // A sampled parent is locked, which takes the right to update it.
  const read: Privilege[] = rowSelection === 'system_rows' ? ['select', 'update'] : ['select'];
  const known = new Set([...targeted, ...filled, ...referenced].map(labelOf));
  const unreadable = new Map(
    targeted
      .flatMap(({ referencedBy }) => referencedBy)
      .filter(({ referencing, readable }) => !readable && !known.has(labelOf(referencing)))
      .map((key) => [labelOf(key.referencing), key]),
  );
  return [
    ...targeted.flatMap((relation) => missing(relation, ['select', ...written], '', catalog)),
    ...filled.flatMap((relation) =>
      missing(relation, [...new Set<Privilege>([...read, 'insert'])], ' to bring rows that others need', catalog),
    ),
    ...referenced.flatMap((relation) => missing(relation, read, ' to reference its rows', catalog)),
    ...[...unreadable.values()].map(({ referencing, referenced: target }) =>
      problem(
        referencing,
        [`USAGE ON SCHEMA ${quoteIdentifier(referencing.schema)}`, `SELECT ON ${quoteQualified(referencing)}`],
        ` to see which rows of ${labelOf(target)} it references`,
        catalog,
      ),
    ),
  ];
}

function missing(relation: Relation, needed: readonly Privilege[], purpose: string, catalog: Catalog): Problem[] {
  const lacking = needed.filter((privilege) => !relation.privileges[privilege]);
  const grants: string[] = [];
  if (!relation.privileges.schema) grants.push(`USAGE ON SCHEMA ${quoteIdentifier(relation.schema)}`);
  if (lacking.length > 0) grants.push(`${lacking.join(', ').toUpperCase()} ON ${quoteQualified(relation)}`);
  return grants.length === 0 ? [] : [problem(relation, grants, purpose, catalog)];
}

function problem(at: QualifiedName, grants: readonly string[], purpose: string, { server }: Catalog): Problem {
  const statements = grants.map((grant) => `GRANT ${grant} TO ${quoteIdentifier(server.user)}`);
  return {
    place: labelOf(at),
    key: '',
    message: `a privilege is missing${purpose}; run: ${statements.join('; ')}`,
  };
}
