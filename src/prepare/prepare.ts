import type pg from 'pg';
import type { Config } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import type { Finding } from '../plan/plan.js';
import { examine, type Prepared, type Surroundings } from './examine.js';

/**
 * Makes plan and claims from configuration and database, and reports the findings.
 * @throws SetupError if no operation is possible, or a table needs rows of one that is empty and not targeted.
 */
export async function prepare(client: pg.Client, config: Config, surroundings: Surroundings): Promise<Prepared> {
  const examined = await examine(client, config, surroundings);
  const { plan, findings, lacking } = examined;
  if (lacking.length > 0) {
    throw new SetupError(
      lacking.map(({ child, key, parent }) => ({
        place: child,
        key: '',
        message: `foreign key ${key} needs a row of ${parent}, which is empty and not targeted; add ${parent} to generator.manual_table_list, insert rows into it, or set generator.untargeted_parents: insert`,
      })),
    );
  }
  if (plan.choices.length === 0) {
    throw new SetupError([
      {
        place: config.source.file,
        key: 'generator',
        message: 'no operation is possible on any targeted table, for these reasons:',
      },
      ...findings.map((finding) => ({
        place: finding.relation,
        key: finding.column ?? '',
        message: `${finding.reason}; ${finding.remedy}`,
      })),
    ]);
  }
  for (const finding of findings) surroundings.say('warn', findingText(finding));
  return examined;
}

/** Returns a finding as a line of text. */
export function findingText({ relation, column, reason, prevents, remedy, behind }: Finding): string {
  const where = column === null ? relation : `${relation}.${column}`;
  const so = prevents.length > 0 ? `, so no ${prevents.join(', ').toUpperCase()}` : '';
  const count = behind?.length ?? 0;
  const others =
    count > 0 ? `; this also blocks ${count} ${count === 1 ? 'table' : 'tables'}: ${behind!.join(', ')}` : '';
  return `${where}: ${reason}${so} (${remedy})${others}`;
}
