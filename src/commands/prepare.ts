import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { introspect } from '../catalog/introspect.js';
import type { Catalog, Relation } from '../catalog/model.js';
import type { Config } from '../config/load.js';
import { type Problem, SetupError } from '../config/problem.js';
import type { Recipe } from '../datum/recipe.js';
import type { Claims } from '../lane/claims.js';
import { CREATE_SYSTEM_ROWS } from '../lane/sampled.js';
import { choicesOf, shareOf } from '../lane/shares.js';
import { buildPlan, type Draft, type Seeds, shareOut } from '../plan/build.js';
import { applySearches } from '../plan/groups.js';
import type { Finding, Plan } from '../plan/plan.js';
import { type Answer, applyWatermarks, gapQuestion, type Question, watermarkQuestions } from '../plan/watermark.js';
import { type Claimed, claimRows, countRows, parentsWithoutRows, unreachableTables } from '../traffic/claim.js';
import { blockSize, type OwnedSequence, ownedSequences, reserveSequences } from '../traffic/sequences.js';
import { prove } from './prove.js';
import { type Rehearsal, rehearse } from './rehearse.js';

/** Everything that is known before the first write. */
export interface Prepared extends Claimed {
  readonly catalog: Catalog;
  readonly plan: Plan;
  readonly findings: readonly Finding[];
  readonly reproducibleBecause: readonly string[];
  /** Sequences that the run moves: to be settled when it has ended. */
  readonly sequences: readonly OwnedSequence[];
}

export type Say = (level: 'info' | 'warn', text: string) => void;

/** What `prepare` is given beside the configuration. */
export interface Surroundings {
  /** True where nothing is to be reserved for a run. */
  readonly dryRun: boolean;
  readonly say: Say;
  /** A pipelined session like a lane's, for the rehearsal; null where there is none. */
  readonly rehearsal: (() => Promise<pg.Client>) | null;
}

/** Config × database → plan and claims. Writes no row: only sequences are moved, and an extension is created where `row_selection: system_rows` asks for it. */
export async function prepare(client: pg.Client, config: Config, surroundings: Surroundings): Promise<Prepared> {
  const { dryRun, say } = surroundings;
  const catalog = await introspect(client, config.schemas);
  checkServer(catalog, config, say);
  const seeds: Seeds = { random: config.randomSeed ?? randomSeed(), faker: config.fakerSeed ?? randomSeed() };
  const built = buildPlan(config, catalog, seeds);
  const searched = applySearches(built, await prove(client, built.searches));
  const draft = await selectRows(client, catalog, searched, dryRun, say);
  for (const finding of draft.findings) say('warn', findingText(finding));
  const { existing_rows: existing, table_rows: bounds } = config.generator;
  // Bounds on a table's rows mean all of them, so they must be known.
  const isBounded = bounds.min > 0 || bounds.max > 0;
  const rowsAtStart = await countRows(client, draft.relations, isBounded ? 'always' : config.generator.count_rows);
  const questions = watermarkQuestions(draft);
  const answers = await ask(client, questions, ({ ordinal }) => rowsAtStart[ordinal.relation] !== 0);
  const gaps = new Map<number, Answer>();
  for (const [index, question] of questions.entries()) {
    const sql = gapQuestion(draft, question, answers[index]!);
    if (sql !== undefined)
      gaps.set(index, (await client.query({ text: sql, rowMode: 'array' })).rows[0] as unknown as Answer);
  }
  const marked = applyWatermarks(draft, questions, answers, gaps);
  // At once, so that little can slip in between the highest key that was read and the block above it.
  const sequences = ownedSequences(marked, draft.relations);
  if (!dryRun) {
    for (const reason of await reserveSequences(client, sequences, blockSize(marked))) {
      say('warn', `a sequence cannot be moved past the run's values, so the application may meet them (${reason})`);
    }
  }
  const perTable = existing === 'all' ? Number.POSITIVE_INFINITY : existing;
  const claims = await claimRows(client, marked, draft.relations, rowsAtStart, perTable);
  const claimed: Claimed = { claims, rowsAtStart };
  const rehearsed = await rehearsal(marked, claims, tablesToRehearse(draft, catalog), surroundings);
  for (const finding of rehearsed.findings) say('warn', findingText(finding));
  const plan = { ...rehearsed.plan, quotas: quotasOfOwners(rehearsed.plan, claims) };
  const lacking = parentsWithoutRows(plan, claimed);
  if (lacking.length > 0) {
    throw new SetupError(
      lacking.map(({ child, key, parent }) => ({
        place: child,
        key: '',
        message: `foreign key ${key} needs a row of ${parent}, which is not targeted and has none; add ${parent} to generator.manual_table_list, or rows to it`,
      })),
    );
  }
  for (const label of unreachableTables(plan, claimed)) {
    say(
      'warn',
      `${label}: no row can come in: a foreign key that must not be NULL leads to a table that has no rows and takes none`,
    );
  }
  await checkOverrides(client, plan, config);
  const because: string[] = [];
  if (config.randomSeed === undefined) because.push('no random_seed is set');
  if (plan.rowSelection === 'system_rows') because.push('row_selection: system_rows samples by chance');
  return {
    catalog,
    plan,
    findings: [...draft.findings, ...rehearsed.findings],
    reproducibleBecause: because,
    sequences,
    ...claimed,
  };
}

/** A finding as a line for people. */
export function findingText({ relation, column, reason, prevents, remedy }: Finding): string {
  const where = column === null ? relation : `${relation}.${column}`;
  return `${where}: ${reason}${prevents.length > 0 ? `, so no ${prevents.join(', ').toUpperCase()}` : ''} (${remedy})`;
}

/* More plain tables than this would cost a second, for nothing that could be found. */
const MOST_PLAIN = 30;

/** Positions of the tables to rehearse: all of a small schema, of a large one those that are not plain. */
function tablesToRehearse({ plan, relations, searches, findings }: Draft, { types }: Catalog): number[] {
  const remarkable = new Set([...searches.map(({ label }) => label), ...findings.map(({ relation }) => relation)]);
  const isPlain = (relation: Relation, label: string) =>
    !relation.reacts &&
    !relation.rowSecurity &&
    relation.computed.length === 0 &&
    relation.exclusions.length === 0 &&
    relation.partitioning === null &&
    !remarkable.has(label) &&
    relation.attributes.every(({ type }) => {
      const { kind, schema } = types.get(type)!;
      return kind === 'enum' || (kind === 'base' && schema === 'pg_catalog');
    });
  const targeted = [...plan.relations.keys()].filter((index) => plan.relations[index]!.targeted);
  const others = targeted.filter((index) => !isPlain(relations[index]!, plan.relations[index]!.label));
  return targeted.length - others.length > MOST_PLAIN ? others : targeted;
}

async function rehearsal(
  plan: Plan,
  claims: readonly Claims[],
  tables: readonly number[],
  { rehearsal: connectLike }: Surroundings,
): Promise<Rehearsal> {
  if (connectLike === null || tables.length === 0) return { plan, findings: [] };
  return await rehearse(connectLike, plan, claims, tables);
}

/** Quotas over the lanes that own something; where tables hold fewer rows than there are lanes, some own nothing. */
function quotasOfOwners(plan: Plan, claims: readonly Claims[]): readonly number[] {
  const useful = plan.quotas.map((_, lane) => choicesOf(shareOf(plan, claims, lane)).length > 0);
  const count = useful.filter(Boolean).length;
  if (count === plan.quotas.length || count === 0) return plan.quotas;
  const total = plan.quotas.reduce((sum, quota) => sum + quota, 0);
  const shares = shareOut(plan.quotas.some((quota) => quota < 0) ? -1 : total, count);
  return useful.map((isUseful) => (isUseful ? shares.shift()! : 0));
}

/** Lets the server read the values of overrides once, each as its column's type: what it refuses is refused beforehand. */
async function checkOverrides(client: pg.Client, plan: Plan, config: Config): Promise<void> {
  const problems: Problem[] = [];
  for (const relation of plan.relations) {
    for (const column of relation.columns) {
      const values = overrideValues(column.recipe);
      const path = overridePath(config, relation.label, column.name);
      if (values.length === 0 || path === undefined) continue;
      try {
        await client.query(`SELECT CAST(v AS ${column.typeName}) FROM unnest($1::text[]) AS v`, [values]);
      } catch (error) {
        problems.push(
          config.source.problem(
            path,
            `the column is ${column.typeName}, and the server refuses a value: ${(error as Error).message}`,
          ),
        );
      }
    }
  }
  if (problems.length > 0) throw new SetupError(problems);
}

function overrideValues(recipe: Recipe): readonly string[] {
  if (recipe.kind === 'choice') return recipe.values;
  if (recipe.kind === 'integer') return [String(recipe.min), String(recipe.max)];
  return [];
}

function overridePath(config: Config, label: string, column: string): string[] | undefined {
  const names = [label, label.slice(label.indexOf('.') + 1), label.slice(label.indexOf('.') + 1).replaceAll('"', '')];
  const table = names.find(
    (name) => config.source.valueAt(['generator', 'column_overrides', name, column]) !== undefined,
  );
  return table === undefined ? undefined : ['generator', 'column_overrides', table, column];
}

const QUESTIONS_PER_STATEMENT = 200;

/** Answers to questions, many in one statement; those about empty tables are not asked. */
async function ask(
  client: pg.Client,
  questions: readonly Question[],
  isWorthwhile: (question: Question) => boolean,
): Promise<Answer[]> {
  const answers: Answer[] = questions.map(() => [null, null]);
  const asked = [...questions.keys()].filter((index) => isWorthwhile(questions[index]!));
  for (let from = 0; from < asked.length; from += QUESTIONS_PER_STATEMENT) {
    const text = asked
      .slice(from, from + QUESTIONS_PER_STATEMENT)
      .map((index) => `SELECT ${index}, a.* FROM (${questions[index]!.sql}) AS a (low, high)`)
      .join(' UNION ALL ');
    const { rows } = await client.query({ text, rowMode: 'array' });
    for (const [index, low, high] of rows as [number, string | null, string | null][]) answers[index] = [low, high];
  }
  return answers;
}

function checkServer({ server }: Catalog, config: Config, say: Say): void {
  const where = `database ${server.database}`;
  if (server.version < 140_000)
    throw SetupError.of(where, `PostgreSQL ${server.versionText} is not supported; 14 or later is`);
  if (server.encoding !== 'UTF8')
    throw SetupError.of(where, `its encoding is ${server.encoding}; only UTF8 is supported`);
  if (server.readOnly)
    throw SetupError.of(
      where,
      'the server is read-only (a standby, or default_transaction_read_only is on); connect to the primary',
    );
  if (server.superuser && !config.embedded) {
    if (!config.generator.allow_superuser) {
      throw SetupError.of(
        where,
        `user "${server.user}" is a superuser and generator.allow_superuser is false; connect as an ordinary user`,
      );
    }
    say('warn', `user "${server.user}" is a superuser: privileges and row security are not exercised`);
  }
}

/** `system_rows` needs an extension; where it cannot be had the run goes on with owned rows, and says so. */
async function selectRows(
  client: pg.Client,
  catalog: Catalog,
  draft: Draft,
  dryRun: boolean,
  say: Say,
): Promise<Draft> {
  if (draft.plan.rowSelection !== 'system_rows' || catalog.server.systemRows) return draft;
  try {
    if (!dryRun) await client.query(CREATE_SYSTEM_ROWS);
    return draft;
  } catch (error) {
    const reason = error instanceof pg.DatabaseError ? error.message : String(error);
    say('warn', `row_selection: the extension tsm_system_rows cannot be created (${reason}); rows are owned instead`);
    return { ...draft, plan: { ...draft.plan, rowSelection: 'owned' } };
  }
}

function randomSeed(): bigint {
  return randomBytes(8).readBigInt64BE();
}
