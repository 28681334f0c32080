import { type Catalog, labelOf, quoteQualified, type Relation } from '../catalog/model.js';
import type { Config } from '../config/load.js';
import type { Problem } from '../config/problem.js';

/** Reports what the user may not do on targeted tables, with the GRANT that would help. */
export function checkPrivileges(
  targeted: readonly Relation[],
  config: Config,
  catalog: Catalog,
  problems: Problem[],
): void {
  const weights = config.operationWeights;
  for (const relation of targeted) {
    const missing = (['select', 'insert', 'update', 'delete'] as const).filter(
      (privilege) =>
        !relation.privileges[privilege] &&
        (privilege === 'select' || weights[privilege.toUpperCase() as keyof typeof weights] > 0),
    );
    const grants: string[] = [];
    if (!relation.privileges.schema)
      grants.push(`GRANT USAGE ON SCHEMA ${quoteQualified(relation).split('.')[0]} TO "${catalog.server.user}"`);
    if (missing.length > 0)
      grants.push(
        `GRANT ${missing.join(', ').toUpperCase()} ON ${quoteQualified(relation)} TO "${catalog.server.user}"`,
      );
    if (grants.length > 0)
      problems.push({
        place: labelOf(relation),
        key: '',
        message: `a privilege is missing; run: ${grants.join('; ')}`,
      });
  }
}
