import { columnsOf, constantsIn, type Expression, operatorsIn } from '../catalog/expression.js';
import type { Type } from '../catalog/model.js';
import type { Condition } from '../constraint/restriction.js';
import type { Recipe } from '../datum/recipe.js';
import type { ColumnDraft } from './column.js';
import { format, oneOf, times } from './compose.js';

/** What the values of a PostGIS column have in common. */
interface Shape {
  /** Names of well-known text (POINT); empty: any kind. */
  readonly kinds: readonly string[];
  readonly dimension: 'Z' | 'M' | 'ZM' | null;
  /** Identifier of the reference system; null: any. */
  readonly system: string | null;
}

/**
 * Returns what a type says about its values.
 * @param name geometry or geography
 * @param typeName as `format_type` writes it: geometry(PointZ,4326)
 */
export function shapeOf(name: string, typeName: string): Shape {
  const [, declared = 'Geometry', srid] = /\((\w+)(?:,(\d+))?\)/.exec(typeName) ?? [];
  const known = srid === '0' ? undefined : srid;
  return { ...kindOf(declared), system: known ?? (name === 'geography' ? '4326' : null) };
}

function kindOf(text: string): Pick<Shape, 'kinds' | 'dimension'> {
  const [, base, dimension] = /^(?:ST_)?([A-Za-z]+?)(ZM|Z|M)?$/i.exec(text) ?? [];
  const kind = base?.toUpperCase() ?? '';
  return {
    kinds: KINDS.has(kind) ? [kind] : [],
    dimension: (dimension?.toUpperCase() as Shape['dimension'] | undefined) ?? null,
  };
}

/** Returns extended well-known text of the kinds, dimension and reference system, within valid degrees. */
export function spatialRecipe({ kinds, dimension, system }: Shape): Recipe {
  const all = bodies(dimension?.length ?? 0);
  const suffix = dimension === null ? '' : ` ${dimension}`;
  const recipes = (kinds.length === 0 ? ['POINT'] : kinds).map((kind) => {
    const body = kind === 'GEOMETRYCOLLECTION' ? ['(POINT', suffix, ...all['POINT']!, ')'] : all[kind]!;
    return format(system === null ? kind : `SRID=${system};${kind}`, suffix, ...body);
  });
  return recipes.length === 1 ? recipes[0]! : { kind: 'mixture', of: recipes };
}

/** Squares, by one corner and the length of a side. */
const SQUARES = Array.from({ length: 100 }, (_, index) => ({
  x: ((index * 37) % 120) - 60,
  y: ((index * 53) % 120) - 60,
  side: 1 + (index % 20),
}));

type Square = (typeof SQUARES)[number];

/** Returns what follows the name of each kind. `extra`: coordinates of a point beside x and y. */
function bodies(extra: number): Readonly<Record<string, readonly (string | Recipe)[]>> {
  const point = times({ kind: 'scaled', min: -8000, max: 8000, scale: 2 }, ' ', 2 + extra);
  // Rings close, and do not cross themselves.
  const flat = (x: number, y: number) => `${x} ${y}${' 0'.repeat(extra)}`;
  const ring = ({ x, y, side }: Square) =>
    [flat(x, y), flat(x + side, y), flat(x + side, y + side), flat(x, y + side), flat(x, y)].join(',');
  const triangle = ({ x, y, side }: Square) =>
    [flat(x, y), flat(x + side, y), flat(x + side, y + side), flat(x, y)].join(',');
  const polygon = oneOf(...SQUARES.map(ring));
  const corners = oneOf(...SQUARES.map(triangle));
  return {
    POINT: ['(', point, ')'],
    LINESTRING: ['(', times(point, ',', 2, 5), ')'],
    POLYGON: ['((', polygon, '))'],
    MULTIPOINT: ['(', times(point, ',', 1, 4), ')'],
    MULTILINESTRING: ['((', times(point, ',', 2, 4), '))'],
    MULTIPOLYGON: ['(((', polygon, ')))'],
    GEOMETRYCOLLECTION: [],
    CIRCULARSTRING: ['(', times(point, ',', 3), ')'],
    COMPOUNDCURVE: ['((', times(point, ',', 2, 5), '))'],
    CURVEPOLYGON: ['((', polygon, '))'],
    MULTICURVE: ['((', times(point, ',', 2, 4), '))'],
    MULTISURFACE: ['(((', polygon, ')))'],
    POLYHEDRALSURFACE: ['(((', polygon, ')))'],
    TRIANGLE: ['((', corners, '))'],
    TIN: ['(((', corners, ')))'],
  };
}

const KINDS: ReadonlySet<string> = new Set(Object.keys(bodies(0)));

/**
 * Returns a spatial column with a recipe for what conditions say beside its type: older schemas state kind, dimension and
 * reference system by CHECKs (`st_srid(geom) = 4326`). The server still judges the values.
 */
export function asChecked(
  column: ColumnDraft,
  conditions: readonly Condition[],
  types: ReadonlyMap<number, Type>,
): ColumnDraft {
  const type = types.get(column.attribute.type);
  if (type?.kind !== 'base' || !SPATIAL.includes(type.name) || type.extension === null) return column;
  if (column.source !== 'drawn' || column.overridden) return column;
  const stated = conditions.flatMap(({ expression }) => factsIn(expression, column.name));
  if (stated.length === 0) return column;
  const shape = stated.reduce((sum, fact) => fact(sum), shapeOf(type.name, column.attribute.typeName));
  return { ...column, recipe: spatialRecipe(shape) };
}

const SPATIAL = ['geometry', 'geography'];
const DIMENSIONS: Readonly<Record<string, Shape['dimension']>> = { '2': null, '3': 'Z', '4': 'ZM' };

type Fact = (shape: Shape) => Shape;

/** Returns what comparisons of a column's kind, dimension and reference system with constants say; what NOT denies says nothing. */
function factsIn(expression: Expression, column: string): Fact[] {
  if (expression.kind === 'and' || expression.kind === 'or')
    return expression.args.flatMap((part) => factsIn(part, column));
  if (expression.kind !== 'operator' && expression.kind !== 'any') return [];
  return operatorsIn(expression).flatMap(({ name, args: [left, right] }) => {
    if (name !== '=' || left === undefined || right === undefined) return [];
    const [asked, texts] = columnsOf(left).length > 0 ? [left, constantsIn(right)] : [right, constantsIn(left)];
    const property = asked.kind === 'cast' ? asked.arg : asked;
    if (property.kind !== 'function' || texts.length === 0 || columnsOf(property).join() !== column) return [];
    return factOf(property.name.toLowerCase(), texts) ?? [];
  });
}

function factOf(property: string, texts: readonly string[]): Fact | undefined {
  switch (property) {
    case 'geometrytype':
    case 'st_geometrytype': {
      const found = texts.map(kindOf);
      const kinds = found.flatMap((each) => each.kinds);
      const dimension = found.find((each) => each.dimension !== null)?.dimension;
      return kinds.length === 0 ? undefined : (shape) => ({ ...shape, kinds, dimension: dimension ?? shape.dimension });
    }
    case 'st_srid':
    case 'srid':
      return (shape) => ({ ...shape, system: texts[0]! });
    case 'st_ndims':
    case 'ndims':
    case 'st_coorddim':
      return texts[0]! in DIMENSIONS ? (shape) => ({ ...shape, dimension: DIMENSIONS[texts[0]!]! }) : undefined;
    default:
      return undefined;
  }
}
