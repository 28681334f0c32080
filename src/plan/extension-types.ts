import type { Recipe } from '../datum/recipe.js';

const WORD: Recipe = { kind: 'code', length: 5 };
const COMPONENT: Recipe = { kind: 'scaled', min: -1000, max: 1000, scale: 3 };

function format(...parts: (string | Recipe)[]): Recipe {
  return { kind: 'format', parts };
}

function oneOf(...values: string[]): Recipe {
  return { kind: 'choice', values, cumulative: values.map((_, index) => index + 1) };
}

function times(element: Recipe, separator: string, min: number, max = min): Recipe {
  return { kind: 'repeat', element, separator, min, max };
}

const DIGIT = oneOf(...'0123456789');

function digits(count: number): Recipe {
  return times(DIGIT, '', count);
}

/**
 * Returns the recipe for a type of a well-known extension, by name; undefined for others.
 * @param typeName as `format_type` writes it: geometry(Point,4326)
 */
export function extensionRecipe(name: string, modifier: number, typeName: string): Recipe | undefined {
  switch (name) {
    case 'hstore':
      return times(format('"', WORD, '"=>"', WORD, '"'), ', ', 1, 3);
    case 'ltree':
      return times(WORD, '.', 1, 4);
    case 'lquery':
      return oneOf('*', 'a.*', '*.b', 'a|b.*{1,2}');
    case 'ltxtquery':
      return oneOf('a', 'a & b', 'a | !b');
    case 'query_int':
      return oneOf('1', '1&2', '1|(2&!3)');
    case 'cube':
      return format('(', times(COMPONENT, ',', 3), ')');
    case 'seg':
      return format({ kind: 'scaled', min: 0, max: 1000, scale: 1 });
    // "?" stands for the check digit, which the type computes.
    case 'isbn13':
      return format('978', digits(9), '?');
    case 'ean13':
      return format('4', digits(11), '?');
    case 'isbn':
      return format(digits(9), '?');
    case 'issn':
      return format(digits(7), '?');
    case 'issn13':
      return format('977', digits(7), '00?');
    case 'ismn':
      return format('M', digits(8), '?');
    case 'ismn13':
      return format('9790', digits(8), '?');
    case 'upc':
      return format(digits(11), '?');
    case 'vector':
    case 'halfvec':
      return format('[', times(COMPONENT, ',', modifier > 0 ? modifier : 3), ']');
    case 'sparsevec':
      return format('{1:', COMPONENT, `}/${modifier > 0 ? modifier : 3}`);
    case 'geometry':
    case 'geography':
      return spatial(name, typeName);
    case 'box2d':
      return oneOf('BOX(0 0,1 1)', 'BOX(-1 -1,2 3)');
    case 'box3d':
      return oneOf('BOX3D(0 0 0,1 1 1)', 'BOX3D(-1 -1 -1,2 3 4)');
    default:
      return undefined;
  }
}

/** Returns extended well-known text of the declared kind, dimension and reference system, within valid degrees. */
function spatial(name: string, typeName: string): Recipe | undefined {
  const [, declared = 'Point', srid] = /\((\w+)(?:,(\d+))?\)/.exec(typeName) ?? [];
  const [, base, dimension] = /^([A-Za-z]+?)(ZM|Z|M)?$/.exec(declared)!;
  const extra = dimension === undefined ? 0 : dimension.length;
  const number: Recipe = { kind: 'scaled', min: -8000, max: 8000, scale: 2 };
  const point = times(number, ' ', 2 + extra);
  // One corner is drawn and the others depend on it, so that rings close and do not cross themselves.
  const flat = (x: number, y: number) => `${x} ${y}${' 0'.repeat(extra)}`;
  const ring = (side: number) => [flat(0, 0), flat(side, 0), flat(side, side), flat(0, side), flat(0, 0)].join(',');
  const rings = Array.from({ length: 40 }, (_, index) => ring(1 + index));
  const bodies: Readonly<Record<string, Recipe>> = {
    POINT: format('POINT', suffix(dimension), '(', point, ')'),
    LINESTRING: format('LINESTRING', suffix(dimension), '(', times(point, ',', 2, 5), ')'),
    POLYGON: format('POLYGON', suffix(dimension), '((', oneOf(...rings), '))'),
    MULTIPOINT: format('MULTIPOINT', suffix(dimension), '(', times(point, ',', 1, 4), ')'),
    MULTILINESTRING: format('MULTILINESTRING', suffix(dimension), '((', times(point, ',', 2, 4), '))'),
    MULTIPOLYGON: format('MULTIPOLYGON', suffix(dimension), '(((', oneOf(...rings), ')))'),
    GEOMETRYCOLLECTION: format('GEOMETRYCOLLECTION', suffix(dimension), '(POINT', suffix(dimension), '(', point, '))'),
  };
  const body = bodies[base!.toUpperCase()] ?? bodies['POINT']!;
  const system = srid ?? (name === 'geography' ? '4326' : undefined);
  return system === undefined || system === '0' ? body : format(`SRID=${system};`, body);
}

function suffix(dimension: string | undefined): string {
  return dimension === undefined ? '' : ` ${dimension}`;
}
