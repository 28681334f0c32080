import type pg from 'pg';
import type { Config } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { causeOf, type Finding } from '../plan/plan.js';
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
  for (const line of findingLines(findings)) surroundings.say('warn', line);
  return examined;
}

/* Tables with one cause share a line from this number on, and so many of them are named. */
const FEWEST_TOGETHER = 3;
const MOST_NAMED = 6;

/** Returns findings as lines of text, one for all tables that have the same cause. */
export function findingLines(findings: readonly Finding[]): string[] {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) {
    const { column, prevents, remedy, behind } = finding;
    const key = JSON.stringify([causeOf(finding), column, prevents, remedy, behind]);
    groups.set(key, [...(groups.get(key) ?? []), finding]);
  }
  return [...groups.values()].flatMap((group) => {
    if (group.length < FEWEST_TOGETHER || group[0]!.column !== null) return group.map(findingText);
    const named = group.slice(0, MOST_NAMED).map(({ relation }) => relation);
    const more = group.length - named.length;
    const relation = `${group.length} tables (${named.join(', ')}${more > 0 ? ` and ${more} more` : ''})`;
    return [findingText({ ...group[0]!, relation })];
  });
}

/** Returns a finding as a line of text. */
function findingText({ relation, column, reason, prevents, remedy, behind }: Finding): string {
  const where = column === null ? relation : `${relation}.${column}`;
  const so = prevents.length > 0 ? `, so no ${prevents.join(', ').toUpperCase()}` : '';
  const count = behind?.length ?? 0;
  const others =
    count > 0 ? `; this also blocks ${count} ${count === 1 ? 'table' : 'tables'}: ${behind!.join(', ')}` : '';
  return `${where}: ${reason}${so} (${remedy})${others}`;
}
