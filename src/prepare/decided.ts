import type pg from 'pg';
import { introspect } from '../catalog/introspect.js';
import { type Catalog, labelOf } from '../catalog/model.js';
import { fingerprint } from '../config/fingerprint.js';
import type { Config } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { decodePlan, encodePlan } from '../history/stored-plan.js';
import { VERSION } from '../package.js';
import { readIncarnation } from '../traffic/incarnation.js';
import { countRows } from './claim.js';
import type { Prepared, Surroundings } from './examine.js';
import { reserveSequences } from './sequences.js';

/** What was decided before the first write: enough for another process, or for a later run, to begin with it. */
export type Decided = Pick<
  Prepared,
  'plan' | 'claims' | 'findings' | 'reproducibleBecause' | 'sequences' | 'rowsAtStart'
>;

/** What it was decided for. Where one of these differs, it does not fit. */
export interface Identity {
  readonly version: string;
  readonly configuration: string;
  readonly schema: string;
}

/** Returns a fingerprint of everything in a configuration that decides what is written, or when. */
export function configurationFingerprint({
  generator,
  operationWeights,
  tableOperationWeights,
  traffic,
}: Config): string {
  const { workers: _workers, timeouts: _timeouts, ...decisive } = generator;
  return fingerprint([decisive, operationWeights, tableOperationWeights, traffic]);
}

/** Returns a fingerprint of the tables, their columns and types. */
export function schemaFingerprint({ relations }: Catalog): string {
  return fingerprint(
    relations.map((relation) =>
      relation.attributes.map(({ name, typeName }) => [relation.schema, relation.name, name, typeName]),
    ),
  );
}

/** As plain JSON. */
export function encodeDecided(decided: Decided): object {
  const { plan, claims, findings, reproducibleBecause, sequences, rowsAtStart } = decided;
  return { ...encodePlan({ plan, claims }), findings, reproducibleBecause, sequences, rowsAtStart };
}

/** @throws SetupError where it is none, or one of another version's generator; `from` says where it came from. */
export function decodeDecided(encoded: unknown, from: string): Decided {
  const stored = decodePlan(encoded, from);
  const { findings, reproducibleBecause, sequences, rowsAtStart } = encoded as Decided;
  return { ...stored, findings, reproducibleBecause, sequences, rowsAtStart };
}

/**
 * Begins with what has been decided before, instead of reading and rehearsing anew.
 * @throws SetupError where the configuration, the schema or the number of rows is another one by now.
 */
export async function prepareDecided(
  client: pg.Client,
  config: Config,
  { decided, identity, from }: { decided: Decided; identity: Identity | undefined; from: string },
  { dryRun, say }: Pick<Surroundings, 'dryRun' | 'say'>,
): Promise<Prepared> {
  if (identity === undefined || decided.rowsAtStart === undefined)
    throw SetupError.of(from, `the file has a plan, but not all that a run needs; ${MAKE_ANEW}`);
  const catalog = await introspect(client, config.schemas);
  const now = { version: VERSION, configuration: configurationFingerprint(config), schema: schemaFingerprint(catalog) };
  for (const [key, name] of Object.entries(MADE_FOR) as [keyof Identity, string][])
    if (identity[key] !== now[key]) throw SetupError.of(from, `the plan was made for ${name}; ${MAKE_ANEW}`);
  const byLabel = new Map(catalog.relations.map((relation) => [labelOf(relation), relation]));
  const relations = decided.plan.relations.map(({ label }) => byLabel.get(label)!);
  const { counts } = await countRows(client, relations, config.generator.count_rows);
  for (const [index, { label }] of decided.plan.relations.entries()) {
    const [before, rows] = [decided.rowsAtStart[index] ?? null, counts[index] ?? null];
    if (before !== null && rows !== null && before !== rows)
      throw SetupError.of(
        from,
        `${label} had ${before} rows when the plan was made, and has ${rows} now; ${MAKE_ANEW}`,
      );
  }
  for (const reason of dryRun ? [] : await reserveSequences(client, decided.sequences))
    say('warn', `a sequence cannot be moved past the run's values, so the application may use them again (${reason})`);
  return { ...decided, catalog, incarnation: await readIncarnation(client) };
}

const MADE_FOR: Readonly<Record<keyof Identity, string>> = {
  version: 'another version of event-generator',
  configuration: 'another configuration',
  schema: 'another schema',
};
const MAKE_ANEW = 'make it again with --dry-run --plan-out';
