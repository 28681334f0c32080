import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { lacksOf } from '../catalog/flavour.js';
import { introspect } from '../catalog/introspect.js';
import type { Catalog, Relation } from '../catalog/model.js';
import type { Config } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { choicesOf, shareOf } from '../lane/choice/shares.js';
import { type Claims, isClaimed } from '../lane/rows/claims.js';
import { CREATE_SYSTEM_ROWS } from '../lane/sampled.js';
import { buildPlan, type Draft, type Seeds, shareOut } from '../plan/build.js';
import { capacityFindings } from '../plan/capacity.js';
import type { ConstraintNote } from '../plan/constraint-notes.js';
import { withoutPresentKeys } from '../plan/demands.js';
import { applyDistinct } from '../plan/distinct.js';
import { applySearches } from '../plan/groups.js';
import { type Finding, OPERATION_KINDS, type OperationKind, type Plan } from '../plan/plan.js';
import { namesOf, operationWeightsOf } from '../plan/target.js';
import { type Answer, applyWatermarks, gapQuestion, type Question, watermarkQuestions } from '../plan/watermark.js';
import { seedOf } from '../random/seed.js';
import { type Incarnation, readIncarnation } from '../traffic/incarnation.js';
import {
  type Claimed,
  type Counted,
  claimRows,
  countRows,
  type LackingParent,
  madeByTriggers,
  parentsWithoutRows,
  type RowCounts,
  unreachableTables,
} from './claim.js';
import { withOperations } from './lessons.js';
import { checkOverrides } from './overrides.js';
import { foreignTriggers } from './ownership.js';
import { compute, prove } from './prove.js';
import { missingSetting } from './refusal.js';
import { type Rehearsal, rehearse, tablesToRehearse } from './rehearse.js';
import { reasonsFromTriggers } from './reproducible.js';
import { reserveSequences, type WrittenSequence, writtenSequences } from './sequences.js';
import { withWrittenTables } from './triggered.js';

/** Everything that is decided before the first write. */
export interface Prepared extends Claimed {
  readonly catalog: Catalog;
  readonly plan: Plan;
  readonly findings: readonly Finding[];
  readonly reproducibleBecause: readonly string[];
  /** Identifies the server before the first write. */
  readonly incarnation: Incarnation;
  /** Sequences that the run moves, and sets to their exact values when it has ended. */
  readonly sequences: readonly WrittenSequence[];
}

type Say = (level: 'info' | 'warn', text: string) => void;

/** What `prepare` needs in addition to the configuration. */
export interface Surroundings {
  /** True if nothing must be reserved for a run. */
  readonly dryRun: boolean;
  readonly say: Say;
  /** Receives a description of each step that may take long. */
  readonly step: (text: string) => void;
  /** Opens a pipelined session like a lane's for the rehearsal; null if there is none. */
  readonly rehearsal: ((searchPath: string | null) => Promise<pg.Client>) | null;
}

/** Everything that is known about a run before it begins, even if it cannot begin. */
export interface Examined extends Prepared {
  readonly relations: readonly Relation[];
  readonly notes: readonly ConstraintNote[];
  /** Number of tables whose operations were tried and rolled back; null without a rehearsal. */
  readonly rehearsed: number | null;
  /** Tables whose rows need parents in a table that is not targeted and has no rows. */
  readonly lacking: readonly LackingParent[];
}

/**
 * Reads the database and decides everything. It writes no row, but moves sequences (except in a dry run), and creates
 * an extension if `row_selection: system_rows` needs it.
 * @throws SetupError, also if the server rejects a query, for example because a function of the schema raises an error.
 */
export async function examine(client: pg.Client, config: Config, surroundings: Surroundings): Promise<Examined> {
  let doing = 'connecting';
  const step = (text: string) => {
    doing = text;
    surroundings.step(text);
  };
  try {
    return await decide(client, config, { ...surroundings, step });
  } catch (error) {
    if (isLostConnection(error)) throw new ConnectionLost(config.source.file, doing, error.message);
    if (!(error instanceof pg.DatabaseError)) throw error;
    const where = error.where === undefined ? '' : `, in ${error.where.split('\n')[0]}`;
    const remedy =
      missingSetting(error.code, error.message) ?? 'to skip the table, add it to generator.exclude_table_list';
    const message = `${doing} failed: the server reports "${error.message}" (${error.code})${where}; ${remedy}`;
    throw SetupError.of(config.source.file, message);
  }
}

/** Thrown if the connection was lost before anything was written. */
export class ConnectionLost extends SetupError {
  constructor(file: string, doing: string, reason: string) {
    super([{ place: file, key: '', message: `${doing} failed: the connection was lost (${reason}); try again` }]);
  }
}

/* 57P01 to 57P03: the server is shut down, crashes, or is starting. Class 08: the connection itself. */
const LOST = /^(57P0[1-3]|08...)$/;

function isLostConnection(error: unknown): error is Error {
  if (error instanceof pg.DatabaseError) return LOST.test(error.code ?? '');
  return error instanceof Error && /^(connection terminated|read econnreset)|not queryable/i.test(error.message);
}

async function decide(client: pg.Client, config: Config, surroundings: Surroundings): Promise<Examined> {
  const { dryRun, say, step } = surroundings;
  step('reading the schema');
  const catalog = await introspect(client, config.schemas);
  checkServer(catalog, config, say);
  const lacks = lacksOf(catalog.server.flavour);
  if (lacks !== null) say('warn', lacks);
  const seeds = seedsOf(config, say);
  const drafted = await draftWithParents(client, config, catalog, seeds, surroundings);
  const { draft, rowsAtStart, unreadable, lacking } = drafted;
  const targeted = draft.relations.filter((_, index) => draft.plan.relations[index]!.targeted);
  const trusted = await foreignTriggers(client, targeted, catalog.server.user);
  if (trusted !== null) say('warn', trusted);
  // A table that cannot be read is not queried.
  const rowsToRead = rowsAtStart.map((count, index) => (unreadable.has(index) ? 0 : count));
  await checkOverrides(client, draft.plan, config, seedOf(seeds.faker));
  const questions = watermarkQuestions(draft);
  const answers = await ask(client, questions, ({ ordinal }) => rowsToRead[ordinal.relation] !== 0);
  const gaps = new Map<number, Answer>();
  for (const [index, question] of questions.entries()) {
    const sql = gapQuestion(draft, question, answers[index]!);
    if (sql !== undefined)
      gaps.set(index, (await client.query({ text: sql, rowMode: 'array' })).rows[0] as unknown as Answer);
  }
  const marked = applyWatermarks(draft, questions, answers, gaps);
  // At once, so that few other INSERTs can come between reading the highest key and reserving the block above it.
  const sequences = await writtenSequences(client, marked, draft.relations);
  if (!dryRun && lacking.length === 0 && marked.choices.length > 0) {
    for (const reason of await reserveSequences(client, sequences)) {
      say(
        'warn',
        `a sequence could not be moved, so nextval() may return values that this run uses (${reason}); grant UPDATE on the sequence to the user of the run`,
      );
    }
  }
  const { existing_rows: existing } = config.generator;
  const perTable = existing === 'all' ? Number.POSITIVE_INFINITY : existing;
  const claims = await claimRows(client, marked, draft.relations, rowsToRead, { perTable, step });
  const claimed = withoutPresentKeys(marked, (relation, column, text) =>
    isClaimed(claims[relation]!, marked.relations[relation]!.named.indexOf(column), text),
  );
  const rehearsed = await rehearsal(
    { draft: { ...draft, plan: claimed }, catalog, claims, config },
    surroundings,
    lacking.length > 0,
  );
  const unreached = new Set(unreachableTables(rehearsed.plan, { claims, rowsAtStart: rowsToRead }));
  const reachable = withoutRowless(withoutInserts(rehearsed.plan, unreached), claims, rowsToRead);
  const plan = withWrittenTables({ ...reachable, quotas: quotasOfOwners(reachable, claims) }, draft.relations);
  const because = reasonsFromTriggers(plan, draft.relations);
  if (rehearsed.untried.length > 0) because.push('the rehearsal was cut short by generator.timeouts.rehearsal');
  if (plan.rowSelection === 'system_rows') because.push('row_selection: system_rows samples rows at random');
  if (config.generator.identity_values === 'database' && draft.relations.some(hasIdentity))
    because.push('identity_values: database leaves keys to the server');
  if (plan.relations.some(({ defaulted }) => defaulted.length > 0))
    because.push('defaults: all leaves some values to the server');
  return {
    catalog,
    plan,
    incarnation: await readIncarnation(client),
    findings: findingsBehind(
      [...draft.findings, ...rehearsed.findings, ...capacityFindings(plan, rowsAtStart)],
      plan,
      unreached,
      claims,
    ),
    notes: draft.notes,
    rehearsed: surroundings.rehearsal === null ? null : rehearsed.tried,
    relations: draft.relations,
    lacking,
    reproducibleBecause: because,
    sequences,
    claims,
    rowsAtStart,
  };
}

function hasIdentity({ attributes }: Relation): boolean {
  return attributes.some(({ identity, sequence }) => identity !== 'none' || sequence !== null);
}

/** Returns what tells, for a table, the operations with a weight above 0. */
export function wantedOperations(config: Config): (label: string) => readonly OperationKind[] {
  const { table_weights: byTable } = config.generator;
  return (label) => {
    if (namesOf(label).some((name) => byTable[name] === 0)) return [];
    const weights = operationWeightsOf(config, label);
    return OPERATION_KINDS.filter((kind) => weights[kind] > 0);
  };
}

/* The most levels of missing parents: a parent may need parents of its own. */
const MOST_GENERATIONS = 16;

interface Drafted {
  readonly draft: Draft;
  readonly rowsAtStart: RowCounts;
  readonly unreadable: Counted['unreadable'];
  readonly lacking: readonly LackingParent[];
}

/** Returns the draft without operations on unreadable tables, with a finding for each of them. */
function withoutUnreadable(draft: Draft, unreadable: Counted['unreadable']): Draft {
  let { plan } = draft;
  const findings = [...draft.findings];
  for (const [index, { message, code }] of unreadable) {
    plan = withOperations(plan, index, { insert: false, update: false, delete: false });
    findings.push({
      relation: plan.relations[index]!.label,
      column: null,
      prevents: OPERATION_KINDS,
      reason: `its rows cannot be counted: the server reports "${message}" (${code})`,
      remedy: 'make the table readable, or add it to generator.exclude_table_list',
    });
  }
  return { ...draft, plan, findings };
}

/** Drafts the plan. With `untargeted_parents: insert` it includes the tables that lack rows which others need. */
async function draftWithParents(
  client: pg.Client,
  config: Config,
  catalog: Catalog,
  seeds: Seeds,
  { dryRun, say, step }: Surroundings,
): Promise<Drafted> {
  const { table_rows: bounds, untargeted_parents: parents, count_rows: counting } = config.generator;
  // Bounds apply to all rows of a table, so their number must be known.
  const isBounded = bounds.min > 0 || bounds.max > 0;
  const added = new Set<string>();
  for (let generation = 0; ; generation++) {
    const built = buildPlan(config, catalog, seeds, added);
    const proved = applySearches(built, await prove(client, built.searches, step));
    const searched = applyDistinct(proved, await compute(client, built.distincts));
    const draft = await selectRows(client, catalog, searched, dryRun, say);
    step('counting rows');
    const { counts, unreadable } = await countRows(client, draft.relations, isBounded ? 'always' : counting);
    const lacking = parentsWithoutRows(draft.plan, counts);
    if (lacking.length === 0 || parents === 'refuse' || generation === MOST_GENERATIONS)
      return { draft: withoutUnreadable(draft, unreadable), rowsAtStart: counts, unreadable, lacking };
    for (const { parent } of lacking) added.add(parent);
  }
}

/** Returns the plan without choices on tables that have no rows and get none, because they are never possible. */
function withoutRowless(plan: Plan, claims: readonly Claims[], rowsAtStart: RowCounts): Plan {
  const made = madeByTriggers(plan);
  const isRowless = (index: number) =>
    !plan.relations[index]!.operations.insert &&
    claims[index]!.count === 0 &&
    rowsAtStart[index] === 0 &&
    !made.has(index);
  return { ...plan, choices: plan.choices.filter(({ relation }) => !isRowless(relation)) };
}

function withoutInserts(plan: Plan, barred: ReadonlySet<number>): Plan {
  if (barred.size === 0) return plan;
  const relations = plan.relations.map((relation, index) =>
    barred.has(index) ? { ...relation, operations: { ...relation.operations, insert: false } } : relation,
  );
  const choices = plan.choices.filter(({ relation, operation }) => operation !== 'insert' || !barred.has(relation));
  return { ...plan, relations, choices };
}

/** Returns the findings, each with the tables that cannot get rows because of it. */
function findingsBehind(
  findings: readonly Finding[],
  plan: Plan,
  unreached: ReadonlySet<number>,
  claims: readonly Claims[],
): Finding[] {
  const causes = new Map<string, string[]>();
  for (const index of unreached) {
    const cause = causeOf(index, plan, claims, new Set());
    causes.set(cause, [...(causes.get(cause) ?? []), plan.relations[index]!.label]);
  }
  const told = findings.map((finding): Finding => {
    const behind = finding.prevents.includes('insert') ? causes.get(finding.relation) : undefined;
    if (behind === undefined) return finding;
    causes.delete(finding.relation);
    return { ...finding, behind };
  });
  const untold = [...causes].map(
    ([relation, behind]): Finding => ({
      relation,
      column: null,
      prevents: ['insert'],
      reason: 'has no rows and cannot get any, but other tables need one of its rows',
      remedy: 'add rows to it',
      behind: behind.filter((label) => label !== relation),
    }),
  );
  return [...told, ...untold];
}

/** Returns the table because of which another one gets no rows: the first one among its ancestors without INSERTs. */
function causeOf(index: number, plan: Plan, claims: readonly Claims[], passed: Set<number>): string {
  passed.add(index);
  for (const { parent, nullable, makesParent } of plan.relations[index]!.foreignKeys) {
    if (nullable || makesParent || passed.has(parent) || claims[parent]!.count > 0) continue;
    if (!plan.relations[parent]!.operations.insert) return causeOf(parent, plan, claims, passed);
  }
  return plan.relations[index]!.label;
}

async function rehearsal(
  { draft, catalog, claims, config }: { draft: Draft; catalog: Catalog; claims: readonly Claims[]; config: Config },
  { rehearsal: connectLike, step, say }: Surroundings,
  isRefused: boolean,
): Promise<Rehearsal> {
  const { plan } = draft;
  const tables = isRefused ? [] : tablesToRehearse(draft, catalog);
  if (connectLike === null || tables.length === 0) return { plan, findings: [], untried: [], tried: 0 };
  const limitMs = config.generator.timeouts.rehearsal;
  const rehearsing = {
    connectLike: () => connectLike(plan.searchPath),
    claims,
    step,
    limitMs,
    clock: () => performance.now(),
  };
  const rehearsed = await rehearse(rehearsing, draft, catalog, tables);
  const { untried } = rehearsed;
  if (untried.length > 0)
    say(
      'warn',
      `the rehearsal ended after ${limitMs / 1000} s (generator.timeouts.rehearsal) without trying ${listed(untried)}`,
    );
  return rehearsed;
}

const MOST_LISTED = 8;

/** Returns the first names for a message, and how many more there are. */
function listed(names: readonly string[]): string {
  const more = names.length - MOST_LISTED;
  return `${names.slice(0, MOST_LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Divides quotas over the lanes that own something; if all tables have fewer rows than lanes, some own nothing. */
function quotasOfOwners(plan: Plan, claims: readonly Claims[]): readonly number[] {
  const useful = plan.quotas.map((_, lane) => choicesOf(shareOf(plan, claims, lane)).length > 0);
  const count = useful.filter(Boolean).length;
  if (count === plan.quotas.length || count === 0) return plan.quotas;
  const total = plan.quotas.reduce((sum, quota) => sum + quota, 0);
  const shares = shareOut(plan.quotas.some((quota) => quota < 0) ? -1 : total, count);
  return useful.map((isUseful) => (isUseful ? shares.shift()! : 0));
}

const QUESTIONS_PER_STATEMENT = 200;

/** Answers questions, many in one statement. Questions about empty tables are not asked. */
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
    throw SetupError.of(where, `PostgreSQL ${server.versionText} is not supported; use version 14 or later`);
  if (server.encoding !== 'UTF8')
    throw SetupError.of(where, `encoding ${server.encoding} is not supported; use a database with encoding UTF8`);
  if (server.readOnly)
    throw SetupError.of(
      where,
      'the server is read-only (it is a standby, or default_transaction_read_only is on); connect to the primary',
    );
  if (server.isReplicaRole)
    say(
      'warn',
      'session_replication_role is replica: foreign keys are not checked, ON DELETE actions do not run and ordinary triggers do not fire',
    );
  if (server.superuser && !config.embedded) {
    if (!config.generator.allow_superuser) {
      throw SetupError.of(
        where,
        `user "${server.user}" is a superuser and generator.allow_superuser is false; connect as an ordinary user`,
      );
    }
    say('warn', `user "${server.user}" is a superuser, so privileges and row security are not tested`);
  }
}

/** Creates the extension that `system_rows` needs. If that fails, warns and continues with owned rows. */
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
    say(
      'warn',
      `row_selection: system_rows is not possible because the extension tsm_system_rows cannot be created (${reason}); using row_selection: owned`,
    );
    return { ...draft, plan: { ...draft.plan, rowSelection: 'owned' } };
  }
}

/** Returns the configured seeds. A missing one is drawn and printed, so that the run can be repeated. */
function seedsOf({ randomSeed, fakerSeed }: Config, say: Say): Seeds {
  if (randomSeed !== undefined) return { random: randomSeed, faker: fakerSeed ?? randomSeed };
  const drawn = BigInt(randomBytes(5).readUIntBE(0, 5));
  const repeat =
    fakerSeed === undefined ? `--seed ${drawn} repeats this run` : `generator.random_seed: ${drawn} repeats this run`;
  say('info', `using the random seed ${drawn}; ${repeat}`);
  return { random: drawn, faker: fakerSeed ?? drawn };
}
