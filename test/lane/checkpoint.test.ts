import { createHash } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.js';
import { Lane, type SavedLane } from '../../src/lane/lane.js';
import type { Effect, Outcome } from '../../src/lane/messages/outcome.js';
import type { Transaction } from '../../src/lane/messages/transaction.js';
import { SILENT } from '../../src/lane/play.js';
import type { ClaimSet } from '../../src/lane/rows/claims.js';
import { CompiledPlan } from '../../src/lane/rows/compiled.js';
import type { Plan } from '../../src/plan/plan.js';
import { prepare } from '../../src/prepare/prepare.js';
import { configFor, createDatabase } from '../server/database.js';
import type { Animal } from '../zoo/animal.js';
import { CHECKS } from '../zoo/checks.js';
import { COLUMNS } from '../zoo/columns.js';
import { KEYS } from '../zoo/keys.js';
import { PARTITIONS } from '../zoo/partitions.js';

const CHECKPOINT_EVERY = 150;
const OPERATIONS = 800;
/* So many of its checkpoints are tried. */
const MOST_CHECKPOINTS = 9;

/** A schema, how far its lane's checkpoints are apart, and a relation that refuses every row. */
interface Form extends Animal {
  readonly checkpointEvery?: number;
  readonly refuses?: number;
}

const REFUSED = { kind: 'refused', message: '', constraint: null, detail: null, table: null, context: null } as const;

/** What a server might answer; the same for the same transaction and attempt. */
function answerTo(transaction: Transaction, refuses: number | undefined): Outcome {
  const { number, outcomes, members } = transaction;
  const die = createHash('sha256').update(`${number}/${outcomes}`).digest().readUInt32BE(0) % 100;
  const refused = members.findIndex(({ operation }) => operation.relation === refuses && operation.kind === 'insert');
  if (refused >= 0) return { ...REFUSED, sqlstate: '23514', member: refused };
  if (die < 5) return { ...REFUSED, sqlstate: '23505', member: number % members.length };
  if (die < 8) return { ...REFUSED, sqlstate: '40P01', member: 0 };
  const intended = transaction.intended();
  const effects = intended.effects.map((effect, member): Effect => {
    const { statements } = members[member]!.operation;
    const isGone = die < 11 && statements.every(({ kind }) => kind !== 'insert');
    return {
      rows: effect.rows.map((rows) => (isGone ? 0 : rows)),
      returned: effect.returned.map(
        (rows) =>
          (isGone ? null : rows?.map((row, at) => row.map((_, column) => String(number * 1000 + at * 10 + column)))) ??
          null,
      ),
    };
  });
  return { kind: 'committed', effects };
}

interface Course {
  /** A hash of every message, with the number of its transaction. */
  readonly sent: readonly string[];
  /** States, with how many messages had been sent before each. */
  readonly checkpoints: readonly { readonly sent: number; readonly state: Buffer }[];
}

function courseOf(lane: Lane, refuses: number | undefined): Course {
  const sent: string[] = [];
  const checkpoints: { sent: number; state: Buffer }[] = [];
  lane.onCheckpoint = () => {
    expect(lane.pending).toEqual([]);
    expect(lane.begun).toBe(lane.operations);
    checkpoints.push({ sent: sent.length, state: serialize(lane.save()) });
  };
  for (let step = lane.next(); step.kind === 'send'; step = lane.next()) {
    const { transaction } = step;
    const hash = createHash('sha256');
    for (const { operation, savepoint } of transaction.members)
      hash.update(`${savepoint}/${operation.relation}/${operation.kind}/`).update(operation.bytes);
    sent.push(`${transaction.number}/${transaction.outcomes} ${hash.digest('hex')}`);
    lane.settle(transaction, answerTo(transaction, refuses));
  }
  return { sent, checkpoints };
}

async function planOf({ sql, settings }: Animal): Promise<{ plan: Plan; claims: ClaimSet } | null> {
  const database = await createDatabase(sql);
  try {
    const weights = settings?.includes('operation_weights') ? '' : 'operation_weights: [2, 1, 1]\n';
    const generator = `random_seed: 3\n${weights}pipeline_depth: 5\nnum_iterations: ${OPERATIONS}\nconnections: 1\n`;
    const own = (settings ?? '')
      .split('\n')
      .filter((line) => !/^(num_iterations|connections|pipeline_depth|random_seed):/.test(line))
      .join('\n');
    const config = parseConfig('c.yaml', configFor(database, generator + own), [], {});
    const quiet = { dryRun: true, say: () => undefined, step: () => undefined, rehearsal: null };
    return await prepare(database.client, config, quiet);
  } finally {
    await database.drop();
  }
}

const CHAIN = Array.from({ length: 10 }, (_, at) => {
  const reference = at === 0 ? '' : `, t${at} bigint NOT NULL REFERENCES t${at}`;
  return `CREATE TABLE t${at + 1} (id bigint PRIMARY KEY, v text${reference})`;
});

const FORMS: readonly Form[] = [
  { name: 'parents that come first', sql: CHAIN.join(';'), checkpointEvery: 7 },
  {
    name: 'parents that must agree',
    sql: `CREATE TABLE tenants (id int PRIMARY KEY); CREATE TABLE a (tenant int REFERENCES tenants, id int, PRIMARY KEY (tenant, id));
      CREATE TABLE b (tenant int, id int, PRIMARY KEY (tenant, id), FOREIGN KEY (tenant) REFERENCES tenants);
      CREATE TABLE pairs (id bigint PRIMARY KEY, tenant int NOT NULL, a int NOT NULL, b int NOT NULL,
        FOREIGN KEY (tenant, a) REFERENCES a, FOREIGN KEY (tenant, b) REFERENCES b)`,
    checkpointEvery: 40,
  },
  {
    name: 'few keys, few rows, many deletes',
    sql: 'CREATE TABLE few (id smallint PRIMARY KEY CHECK (id BETWEEN 1 AND 30), v int); CREATE TABLE kinds (kind "char" PRIMARY KEY, v int); CREATE TABLE more (id int PRIMARY KEY, v int)',
    settings: 'operation_weights: [1, 1, 4]\ntable_rows: { min: 3, max: 40 }\nmax_tracked_rows: 9',
    checkpointEvery: 25,
  },
  {
    name: 'a table that refuses every row',
    sql: 'CREATE TABLE good (id int PRIMARY KEY, v int); CREATE TABLE refusing (id int PRIMARY KEY, v int)',
    refuses: 1,
    checkpointEvery: 9,
  },
  {
    name: 'a table that refuses every row of its parent',
    sql: 'CREATE TABLE refusing (id int PRIMARY KEY, v int); CREATE TABLE child (id int PRIMARY KEY, r int NOT NULL REFERENCES refusing); CREATE TABLE other (id int PRIMARY KEY)',
    refuses: 0,
    checkpointEvery: 9,
  },
  {
    name: 'conflicts in blocks with savepoints',
    sql: `CREATE TABLE accounts (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, nick varchar(20) UNIQUE);
      CREATE TABLE entries (account bigint REFERENCES accounts ON DELETE CASCADE, nr int, note text, PRIMARY KEY (account, nr))`,
    settings:
      'force_conflicts: { enabled: true, weight: 1 }\ntransaction: { statements: { min: 1, max: 4 }, savepoint_ratio: 0.3, rollback_ratio: 0.1 }',
  },
  {
    name: 'keys of the server, few rows tracked',
    sql: `CREATE TABLE parents (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
      CREATE TABLE children (id serial PRIMARY KEY, parent bigint NOT NULL REFERENCES parents, boss int REFERENCES children ON DELETE SET NULL, day date)`,
    settings: 'identity_values: database\nmax_tracked_rows: 60',
  },
];

describe('a lane at a checkpoint', () => {
  const animals = [...FORMS, ...[...CHECKS, ...COLUMNS, ...KEYS, ...PARTITIONS].filter((_, index) => index % 3 === 0)];
  it.for(animals.filter(({ since }) => since === undefined))(
    'goes on from its saved state as it would have: $name',
    async (animal: Form) => {
      const prepared = await planOf(animal);
      const compiled = new CompiledPlan({
        ...prepared!.plan,
        checkpointEvery: animal.checkpointEvery ?? CHECKPOINT_EVERY,
      });
      const laneOf = () => new Lane(compiled, 0, prepared!.claims, SILENT);
      const whole = courseOf(laneOf(), animal.refuses);
      expect(whole.checkpoints.length).toBeGreaterThan(1);
      const step = Math.ceil(whole.checkpoints.length / MOST_CHECKPOINTS);
      for (const [index, { sent, state }] of whole.checkpoints.entries()) {
        if (index % step !== 0) continue;
        const lane = laneOf();
        lane.restore(deserialize(state) as SavedLane);
        const checkpoint = courseOf(lane, animal.refuses);
        expect(checkpoint.sent).toEqual(whole.sent.slice(sent));
        expect(checkpoint.checkpoints).toHaveLength(whole.checkpoints.length - index - 1);
      }
    },
  );
});
