import type { Recipe } from '../datum/recipe.js';
import { digits, format, oneOf, times } from './compose.js';
import { shapeOf, spatialRecipe } from './spatial.js';

const WORD: Recipe = { kind: 'code', length: 5 };
const COMPONENT: Recipe = { kind: 'scaled', min: -1000, max: 1000, scale: 3 };

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
      return spatialRecipe(shapeOf(name, typeName));
    case 'box2d':
      return oneOf('BOX(0 0,1 1)', 'BOX(-1 -1,2 3)');
    case 'box3d':
      return oneOf('BOX3D(0 0 0,1 1 1)', 'BOX3D(-1 -1 -1,2 3 4)');
    default:
      return undefined;
  }
}
