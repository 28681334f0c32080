import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.js';
import { Lane } from '../../src/lane/lane.js';
import { parametersOf } from '../../src/lane/messages/bind.js';
import { play, SILENT } from '../../src/lane/play.js';
import { CompiledPlan } from '../../src/lane/rows/compiled.js';
import { prepare } from '../../src/prepare/prepare.js';

/*
 * The embedded PostgreSQL has no pgvector, nor has Debian 12: this is PostgreSQL as WebAssembly, with one session in this
 * process. Catalog, plan and lane are those of a run; only the wire is missing.
 */
let database: PGlite;

beforeAll(async () => {
  database = await PGlite.create({ extensions: { vector } });
  await database.exec(`CREATE SCHEMA ai; CREATE EXTENSION vector SCHEMA ai; SET search_path = ai, public;
    CREATE TABLE items (id bigint PRIMARY KEY, small vector(3) NOT NULL, large vector(1536), any_size vector, half halfvec(5),
      sparse sparsevec(8), many vector(2)[], checked vector(4) CHECK (vector_dims(checked) = 4));
    CREATE INDEX ON items USING hnsw (small vector_l2_ops);
    CREATE INDEX ON items USING ivfflat (large vector_cosine_ops) WITH (lists = 2);
    SET search_path = pg_catalog`);
}, 60_000);
afterAll(() => database.close());

const asText = (value: unknown) => value as string;

/** As much of pg's client as planning needs, with int8 as text. */
function clientOf(): pg.Client {
  const query = async (given: string | pg.QueryConfig, parameters?: unknown[]) => {
    const {
      text,
      values = parameters,
      rowMode = 'object',
    } = (typeof given === 'string' ? { text: given } : given) as pg.QueryArrayConfig;
    const { rows, affectedRows } = await database.query(text, values, { rowMode, parsers: { 20: asText } });
    return { rows, rowCount: affectedRows ?? rows.length };
  };
  return { query } as unknown as pg.Client;
}

it('fills vector, halfvec and sparsevec by their dimensions, all statements taken', async () => {
  const text = 'generator: { random_seed: 1, schema_name: ai, num_iterations: 600, connections: 1, null_ratio: 0.1 }';
  const config = parseConfig('c.yaml', text, [], {});
  const quiet = { dryRun: true, say: () => undefined, step: () => undefined, rehearsal: null };
  const { plan, claims, findings } = await prepare(clientOf(), config, quiet);
  expect(findings).toEqual([]);
  const rows = { insert: 0, update: 0, delete: 0 };
  const serializers = new Proxy({}, { get: () => asText, has: () => true });
  for (const { members } of play(new Lane(new CompiledPlan(plan), 0, claims, SILENT))) {
    for (const { bytes, statements } of members.map(({ operation }) => operation)) {
      for (const statement of statements) {
        const { affectedRows } = await database.query(statement.shape.sql, parametersOf(bytes, statement), {
          serializers,
        });
        expect(affectedRows).toBe(statement.rows);
        rows[statement.kind] += statement.rows;
      }
    }
  }
  for (const kind of ['insert', 'update', 'delete'] as const) expect(rows[kind], kind).toBeGreaterThan(50);
  const { rows: found } =
    await database.query(`SELECT count(*)::int AS rows, count(DISTINCT small::text)::int AS different,
    min(ai.vector_dims(large)) AS least, max(ai.vector_dims(large)) AS most, max(ai.vector_dims(many[1])) AS inner FROM ai.items`);
  const left = rows.insert - rows.delete;
  expect(found).toEqual([{ rows: left, different: expect.any(Number), least: 1536, most: 1536, inner: 2 }]);
  expect((found[0] as { different: number }).different).toBeGreaterThan(left * 0.9);
}, 60_000);
