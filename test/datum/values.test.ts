import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { introspect } from '../../src/catalog/introspect.js';
import type { Catalog } from '../../src/catalog/model.js';
import { Writers } from '../../src/datum/compile.js';
import { Pools } from '../../src/datum/pool.js';
import { BindSink } from '../../src/datum/sink.js';
import { CompiledColumn } from '../../src/lane/rows/compiled.js';
import { recipeForType } from '../../src/plan/recipe-for.js';
import { uniqueRecipeFor } from '../../src/plan/sequence-for.js';
import { seedOf, splitNumber } from '../../src/random/seed.js';
import { Stream } from '../../src/random/stream.js';
import { createDatabase, type Database } from '../server/database.js';

const TYPES = [
  'text',
  'varchar',
  'varchar(1)',
  'varchar(7)',
  'varchar(40)',
  'char',
  'char(3)',
  'char(40)',
  'citext',
  'bytea',
  'boolean',
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'numeric(1)',
  'numeric(12,2)',
  'numeric(3,3)',
  'numeric(30,10)',
  'numeric(5,-2)',
  'numeric(2,5)',
  'real',
  'double precision',
  'money',
  'date',
  'time',
  'time(0)',
  'timetz',
  'timestamp',
  'timestamp(3)',
  'timestamptz',
  'interval',
  'json',
  'jsonb',
  'inet',
  'cidr',
  'macaddr',
  'uuid',
  'tsvector',
  'bit',
  'bit(8)',
  'bit(70)',
  'varbit',
  'varbit(16)',
  'mood',
  'small_text',
  '"char"',
  'name',
  'oid',
  'regclass',
  'regproc',
  'regprocedure',
  'regoper',
  'regoperator',
  'regtype',
  'xid',
  'tid',
  'pg_lsn',
  'txid_snapshot',
  'pg_snapshot',
  'xml',
  'jsonpath',
  'tsquery',
  'macaddr8',
  'point',
  'line',
  'lseg',
  'box',
  'path',
  'polygon',
  'circle',
  'int4range',
  'int8range',
  'numrange',
  'daterange',
  'tsrange',
  'tstzrange',
  'int4multirange',
  'datemultirange',
  'tstzmultirange',
  'floatrange',
  'textrange',
  'timerange',
  'percent',
  'percents',
  'pair',
  'nested',
  'hstore',
  'ltree',
  'lquery',
  'ltxtquery',
  'cube',
  'isbn',
  'isbn13',
  'issn',
  'issn13',
  'ismn',
  'ismn13',
  'upc',
  'ean13',
];
const VALUES = 20_000;

/* Few values by nature, or none that a unique column could number. */
const FEW: ReadonlySet<string> = new Set(['boolean', 'bit']);
const NOT_UNIQUE = new Set(
  `cidr json jsonb tsvector numeric(5,-2) "char" name oid regclass regproc regprocedure regoper regoperator regtype xid tid pg_lsn
  txid_snapshot pg_snapshot xml jsonpath tsquery macaddr8 point line lseg box path polygon circle floatrange percents pair nested hstore
  ltree lquery ltxtquery cube isbn isbn13 issn issn13 ismn ismn13 upc ean13 textrange timerange`.split(/\s+/),
);

let database: Database;
let catalog: Catalog;

beforeAll(async () => {
  const columns = TYPES.flatMap((type, index) => [`c${index} ${type}`, `a${index} ${type}[]`]);
  database = await createDatabase(
    `CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('fine', 'so, so', 'a "quoted" \\ one', ''); CREATE DOMAIN small_text AS varchar(9);
     CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION cube; CREATE EXTENSION isn; CREATE TYPE floatrange AS RANGE (subtype = float8); CREATE TYPE textrange AS RANGE (subtype = text); CREATE TYPE timerange AS RANGE (subtype = time);
     CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100); CREATE DOMAIN percents AS percent[]; CREATE TYPE pair AS (a int, b text);
     CREATE TYPE nested AS (p pair, m mood, n percent, x numeric(6,2)[]);
     CREATE TABLE t (${columns.join(', ')})`,
  );
  await database.client.query('SET search_path = pg_catalog');
  catalog = await introspect(database.client, ['public']);
});

afterAll(() => database.drop());

/* Values exactly as a run writes them: NULLs, boundary values and all. */
function values(name: string, count: number, unique: boolean): (string | null)[] {
  const attribute = catalog.relations[0]!.attributes.find((candidate) => candidate.name === name)!;
  const typed = recipeForType(attribute, catalog.types, 0);
  if (typeof typed === 'string') throw new Error(typed);
  const sequence = unique ? uniqueRecipeFor(attribute, catalog.types, 0) : undefined;
  const recipe = sequence?.recipe ?? typed.recipe;
  const seed = seedOf(1n);
  const column = new CompiledColumn(
    {
      name,
      sql: `"${name}"`,
      typeName: attribute.typeName,
      bareType: attribute.typeName,
      label: `public.t.${name}`,
      recipe,
      source: unique ? 'ordinal' : 'drawn',
      salt: '',
      nullRatio: unique ? 0 : 0.05,
      edges: typed.edges,
      edgeRatio: 0.05,
    },
    new Writers(new Pools(seed)),
    seed,
    seed,
    new Stream(),
  );
  const sink = new BindSink();
  return Array.from({ length: Math.min(count, sequence?.capacity ?? count) }, (_, index) => {
    sink.clear();
    if (unique) column.writeOrdinal(index, sink);
    else column.writeDrawn({ random: splitNumber(seed, index), faker: splitNumber(seed, index) }, 0, index, sink);
    const length = sink.bytes.readInt32BE(0);
    return length < 0 ? null : sink.bytes.toString('utf8', 4, sink.offset);
  });
}

describe.each(TYPES.map((type, index) => [type, index] as const))('values of %s', (type, index) => {
  it('are taken by the server, alone and in arrays, and differ', async () => {
    const drawn = values(`c${index}`, VALUES, false);
    const arrays = values(`a${index}`, VALUES / 20, false);
    await database.client.query('SET search_path = public; TRUNCATE t');
    // unnest hands over texts, so that every value passes the type's own input function.
    await database.client.query(`INSERT INTO t (c${index}) SELECT CAST(v AS ${type}) FROM unnest($1::text[]) AS v`, [
      drawn,
    ]);
    await database.client.query(`INSERT INTO t (a${index}) SELECT CAST(v AS ${type}[]) FROM unnest($1::text[]) AS v`, [
      arrays,
    ]);
    const { rows } = await database.client.query<{ nulls: string; distinct: string }>(
      `SELECT count(*) FILTER (WHERE c${index} IS NULL AND a${index} IS NULL) AS nulls, count(DISTINCT c${index}::text) AS distinct FROM t`,
    );
    expect(Number(rows[0]!.nulls)).toBe(
      drawn.filter((value) => value === null).length + arrays.filter((value) => value === null).length,
    );
    expect(Number(rows[0]!.nulls)).toBeGreaterThan(50);
    expect(Number(rows[0]!.distinct)).toBeGreaterThan(FEW.has(type) ? 1 : type.startsWith('reg') ? 1 : 2);
  });

  it('of a unique column are all different on the server', async () => {
    const attribute = catalog.relations[0]!.attributes.find((candidate) => candidate.name === `c${index}`)!;
    const unique = uniqueRecipeFor(attribute, catalog.types, 0);
    // Its CHECK narrows the sequence at plan time.
    if (type === 'percent') return;
    if (unique === undefined) {
      expect(NOT_UNIQUE).toContain(type);
      return;
    }
    const ordered = values(`c${index}`, VALUES, true);
    await database.client.query('SET search_path = public');
    const { rows } = await database.client.query<{ distinct: string }>(
      `SELECT count(DISTINCT CAST(v AS ${type})) AS distinct FROM unnest($1::text[]) AS v`,
      [ordered],
    );
    expect(Number(rows[0]!.distinct)).toBe(ordered.length);
  });
});

it('integers reach their whole range and are small as well', () => {
  const drawn = values(`c${TYPES.indexOf('integer')}`, 20_000, false)
    .filter((value) => value !== null)
    .map(Number);
  expect(Math.max(...drawn)).toBe(2147483647);
  expect(Math.min(...drawn)).toBe(-2147483648);
  expect(drawn.filter((value) => value >= 0 && value < 100).length).toBeGreaterThan(1000);
  expect(drawn.filter((value) => value > 2 ** 30).length).toBeGreaterThan(200);
});

it('all labels of an enum appear', () => {
  expect(new Set(values(`c${TYPES.indexOf('mood')}`, 500, false))).toEqual(
    new Set([null, 'fine', 'so, so', 'a "quoted" \\ one', '']),
  );
});
