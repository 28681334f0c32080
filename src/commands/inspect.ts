import { randomBytes } from 'node:crypto';
import { labelOf } from '../catalog/model.js';
import { loadConfig, type Override } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { publicJson } from '../config/secrets.js';
import type { ConstraintNote } from '../plan/constraint-notes.js';
import { OPERATION_KINDS, type OperationKind } from '../plan/plan.js';
import { columnInWords, rowsBeside } from '../plan/recipe-words.js';
import { madeByTriggers } from '../prepare/claim.js';
import { connectCoordinator, connectRehearsal } from '../prepare/connect.js';
import { type Examined, examine, wantedOperations } from '../prepare/examine.js';
import { Progress } from '../report/progress.js';
import { shown } from '../report/shown.js';
import { startDemo } from './demo.js';
import { EXIT } from './exit.js';

const SILENTLY = { say: () => undefined, replicas: false };

export interface InspectOptions {
  readonly file: string;
  readonly overrides: readonly Override[];
  readonly json: boolean;
  /** True to try one INSERT, UPDATE and DELETE per table, rolled back. */
  readonly rehearse: boolean;
}

/** The report of `inspect` on a table. */
interface TableReport {
  readonly table: string;
  /** The server's estimate; null if it has none. */
  readonly rows_estimated: number | null;
  readonly key: readonly string[];
  /** A column that identifies the run's rows if they have no generated key; null if there is none, or no need. */
  readonly mark: string | null;
  readonly operations: Readonly<Record<OperationKind, boolean>>;
  readonly columns: readonly { readonly name: string; readonly type: string; readonly recipe: string }[];
  readonly constraints: readonly Omit<ConstraintNote, 'relation'>[];
  /** Rows that come with each row, in words. */
  readonly beside: readonly string[];
  readonly findings: readonly {
    readonly column: string | null;
    readonly prevents: readonly OperationKind[];
    readonly reason: string;
    readonly remedy: string;
  }[];
}

interface Report {
  readonly schema_version: 1;
  /** True if every operation with a weight above 0 is possible on every targeted table. */
  readonly covered: boolean;
  readonly tables: readonly TableReport[];
  /** Number of tables whose operations were tried and rolled back; null without --rehearse. */
  readonly rehearsed: number | null;
}

/** Reports what a run would do per table and column, what it cannot do, and why. Only reads. Returns the exit code. */
export async function inspect(options: InspectOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: false, quiet: false });
  let stop: (() => Promise<void>) | undefined;
  try {
    const written = loadConfig(options.file, options.overrides, environment);
    const runId = randomBytes(4).toString('hex');
    const servers = written.embedded ? await startDemo(written, runId, SILENTLY) : undefined;
    stop = servers && (() => servers.stop());
    const config = servers?.config ?? written;
    const settings = config.connection;
    const client = await connectCoordinator(settings, config, runId);
    try {
      const examined = await examine(client, config, {
        dryRun: true,
        say: (_, text) => progress.message('info', text),
        step: (text) => progress.step(text),
        rehearsal: options.rehearse ? (path) => connectRehearsal(settings, config, runId, path) : null,
      });
      progress.stop();
      const report = reportOf(examined, wantedOperations(config));
      process.stdout.write(options.json ? `${publicJson(report, 2)}\n` : shown(reportText(report)));
      return report.covered ? EXIT.finished : EXIT.threshold;
    } finally {
      await client.end();
    }
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return progress.failed({ code: EXIT.setup, reason: error.message });
  } finally {
    progress.stop();
    await stop?.();
  }
}

const INSERT: readonly OperationKind[] = ['insert'];

function reportOf(
  { plan, relations, findings, notes, lacking, rowsAtStart, rehearsed }: Examined,
  wanted: (label: string) => readonly OperationKind[],
): Report {
  const made = madeByTriggers(plan);
  const tables = plan.relations.flatMap((relation, index): TableReport[] => {
    if (!relation.targeted) return [];
    const { estimatedRows } = relations[index]!;
    const own = [
      ...findings.filter((finding) => finding.relation === relation.label),
      ...findings
        .filter(({ behind }) => behind?.includes(relation.label))
        .map((cause) => ({
          column: null,
          prevents: INSERT,
          reason: `cannot insert: each row needs a row of ${cause.relation}, which has none and cannot get any`,
          remedy: `see ${cause.relation}`,
        })),
      ...lacking
        .filter(({ child }) => child === relation.label)
        .map(({ key, parent }) => ({
          column: null,
          prevents: INSERT,
          reason: `foreign key ${key} needs a row of ${parent}, which is empty and not targeted`,
          remedy: `add ${parent} to generator.manual_table_list, insert rows into it, or set generator.untargeted_parents: insert`,
        })),
    ];
    const runs = (kind: OperationKind): boolean =>
      relation.operations[kind] &&
      // UPDATE and DELETE need rows that exist or can be inserted.
      (kind === 'insert' || rowsAtStart[index] !== 0 || made.has(index) || runs('insert')) &&
      plan.choices.some((choice) => choice.relation === index && choice.operation === kind) &&
      !own.some(({ prevents }) => prevents.includes(kind));
    return [
      {
        table: labelOf(relations[index]!),
        rows_estimated: estimatedRows < 0 ? null : estimatedRows,
        key: relation.key.map((column) => relation.columns[column]!.name),
        mark: relation.columns[relation.mark]?.name ?? null,
        operations: { insert: runs('insert'), update: runs('update'), delete: runs('delete') },
        columns: relation.columns.map((column, position) => ({
          name: column.name,
          type: column.typeName,
          recipe: columnInWords(relation, position),
        })),
        constraints: notes
          .filter((note) => note.relation === relation.label)
          .map(({ name, kind, status, how }) => ({ name, kind, status, how })),
        beside: rowsBeside(plan, relation),
        findings: own.map(({ column, prevents, reason, remedy }) => ({ column, prevents, reason, remedy })),
      },
    ];
  });
  const covered = tables.every(({ operations, table }) => wanted(table).every((kind) => operations[kind]));
  return { schema_version: 1, covered, rehearsed, tables };
}

function reportText({ tables, covered, rehearsed }: Report): string {
  const lines = tables.flatMap((table) => [...tableText(table), '']);
  const partly = tables.filter(({ operations }) => !(operations.insert && operations.update && operations.delete));
  const nothing = partly.filter(({ operations }) => !operations.insert && !operations.update && !operations.delete);
  lines.push(
    `${tables.length} tables: ${tables.length - partly.length} take every operation, ${partly.length - nothing.length} some, ${nothing.length} none. ${covered ? 'Every operation with a weight above 0 runs.' : 'Lines that begin with ! say what is missing and why.'}`,
    ...(rehearsed === null ? [] : [rehearsedText(rehearsed, tables.length)]),
  );
  return `${lines.join('\n')}\n`;
}

function rehearsedText(tried: number, tables: number): string {
  const what = `the operations of ${tried} of ${tables} tables were tried and rolled back`;
  return `Rehearsed: ${what}.${tried < tables ? ' The others are plain, or time ran out.' : ''}`;
}

function tableText({
  table,
  rows_estimated: rows,
  key,
  mark,
  operations,
  columns,
  constraints,
  beside,
  findings,
}: TableReport): string[] {
  const running = OPERATION_KINDS.filter((kind) => operations[kind]).map((kind) => kind.toUpperCase());
  const known = rows === null ? 'rows not estimated' : `about ${rows} rows`;
  const named = `${key.length === 0 ? 'no key' : `key ${key.join(', ')}`}${mark === null ? '' : `, rows identified by ${mark}`}`;
  const width = Math.max(0, ...columns.map(({ name, type }) => name.length + type.length + 1));
  return [
    `${table}: ${running.length === 0 ? 'no operation runs' : running.join(', ')} (${known}, ${named})`,
    ...columns.map(({ name, type, recipe }) => `  ${`${name} ${type}`.padEnd(width)}  ${recipe}`),
    ...constraints.map(({ name, kind, status, how }) => `  ${kind} ${name}: ${status}: ${how}`),
    ...beside.map((words) => `  ${words}`),
    ...findings.map(
      ({ column, prevents, reason, remedy }) =>
        `  ! ${column === null ? '' : `${column}: `}${reason}${prevents.length === 0 ? '' : `, so no ${prevents.join(', ').toUpperCase()}`} (${remedy})`,
    ),
  ];
}
