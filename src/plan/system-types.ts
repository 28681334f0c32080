import type { Recipe } from '../datum/recipe.js';

const COORDINATE: Recipe = { kind: 'scaled', min: -100_000, max: 100_000, scale: 2 };
const POINT: Recipe = { kind: 'format', parts: ['(', COORDINATE, ',', COORDINATE, ')'] };
const WORD: Recipe = { kind: 'code', length: 6 };
const COUNT: Recipe = { kind: 'integer', min: 0, max: 2_000_000_000, spread: 'magnitude' };
const POSITIVE: Recipe = { kind: 'scaled', min: 1, max: 100_000, scale: 2 };

function format(...parts: (string | Recipe)[]): Recipe {
  return { kind: 'format', parts };
}

function oneOf(...values: string[]): Recipe {
  return { kind: 'choice', values, cumulative: values.map((_, index) => index + 1) };
}

const HEX: Recipe = oneOf(...'0123456789abcdef'.split('').flatMap((a) => ['0', '7', 'c', 'f'].map((b) => a + b)));

/** Rarely used built-in types, by OID (pg_type.dat). Values of reg* types are objects that every database has. */
const RECIPES: ReadonlyMap<number, Recipe> = new Map<number, Recipe>([
  [18, oneOf('a', 'b', 'x', 'Z', '0', '9')], // "char"
  [19, WORD], // name
  [
    22,
    {
      kind: 'repeat',
      element: { kind: 'integer', min: 0, max: 1000, spread: 'uniform' },
      separator: ' ',
      min: 0,
      max: 4,
    },
  ], // int2vector
  [
    30,
    {
      kind: 'repeat',
      element: { kind: 'integer', min: 0, max: 100_000, spread: 'uniform' },
      separator: ' ',
      min: 0,
      max: 4,
    },
  ], // oidvector
  [24, oneOf('now', 'version')], // regproc
  [26, COUNT], // oid
  [
    27,
    format(
      '(',
      { kind: 'integer', min: 0, max: 100_000, spread: 'uniform' },
      ',',
      { kind: 'integer', min: 1, max: 200, spread: 'uniform' },
      ')',
    ),
  ], // tid
  [28, COUNT], // xid
  [29, COUNT], // cid
  [142, format('<note id="', { kind: 'integer', min: 0, max: 9999, spread: 'uniform' }, '">', WORD, '</note>')], // xml
  [600, POINT],
  [601, format('[', POINT, ',', POINT, ']')], // lseg
  [602, format('[', POINT, ',', POINT, ',', POINT, ']')], // path
  [603, format(POINT, ',', POINT)], // box
  [604, format('(', POINT, ',', POINT, ',', POINT, ')')], // polygon
  [628, format('{', COORDINATE, ',', POSITIVE, ',', COORDINATE, '}')], // line
  [718, format('<', POINT, ',', POSITIVE, '>')], // circle
  [774, format(HEX, ':', HEX, ':', HEX, ':', HEX, ':', HEX, ':', HEX, ':', HEX, ':', HEX)], // macaddr8
  [2202, oneOf('now()', 'version()')], // regprocedure
  [2203, oneOf('pg_catalog.||/', 'pg_catalog.|/')], // regoper
  [2204, oneOf('+(integer,integer)', '-(integer,integer)')], // regoperator
  [2205, oneOf('pg_class', 'pg_type', 'pg_attribute')], // regclass
  [2206, oneOf('integer', 'text', 'boolean', 'timestamp with time zone')], // regtype
  [2970, oneOf('10:10:', '10:20:10,14,15', '100:101:100')], // txid_snapshot
  [
    3220,
    format({ kind: 'integer', min: 0, max: 9999, spread: 'uniform' }, '/', {
      kind: 'integer',
      min: 0,
      max: 99_999_999,
      spread: 'uniform',
    }),
  ], // pg_lsn
  [3615, { kind: 'repeat', element: WORD, separator: ' & ', min: 1, max: 3 }], // tsquery
  [3734, oneOf('simple', 'english')], // regconfig
  [3769, oneOf('simple', 'english_stem')], // regdictionary
  [4072, oneOf('$', '$.a', '$[*]', '$.a[0].b', 'strict $.size()', '$.a ? (@ > 1)')], // jsonpath
  [4089, oneOf('pg_catalog', 'information_schema')], // regnamespace
  [4096, oneOf('pg_monitor', 'pg_read_all_data')], // regrole
  [4191, oneOf('"C"', '"POSIX"')], // regcollation
  [5038, oneOf('10:10:', '10:20:10,14,15', '100:101:100')], // pg_snapshot
  [5069, COUNT], // xid8
]);

export function systemRecipe(oid: number): Recipe | undefined {
  return RECIPES.get(oid);
}
