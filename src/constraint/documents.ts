import { type Expression, partsOf } from '../catalog/expression.js';

/** A place in a document that a condition is about. */
interface Mention {
  readonly path: readonly string[];
  /** Values that the condition compares the place with, or that are of the type that it asks for. */
  readonly values: readonly unknown[];
}

const BY_TYPE: Readonly<Record<string, unknown>> = {
  array: ['a'],
  object: { a: 1 },
  string: 'x',
  number: 1,
  boolean: true,
  null: null,
};

/* What a text must look like for a cast to read it. */
const BY_CAST: Readonly<Record<string, unknown>> = {
  int2: 1,
  int4: 1,
  int8: 1,
  numeric: 1.5,
  float4: 1.5,
  float8: 1.5,
  bool: true,
  date: '2024-01-01',
  timestamp: '2024-01-01 12:00:00',
  timestamptz: '2024-01-01T12:00:00Z',
  uuid: '00000000-0000-4000-8000-000000000001',
};

/* Values of a place of which nothing is said. */
const LEAVES: readonly unknown[] = ['x', 1, true, ['a'], {}, 'user@example.com'];

const MOST_PLACES = 40;

/** Documents that have a suitable value at every place that the conditions name. There are several, because some places take any value. */
export function documentsFor(column: string, conditions: readonly Expression[]): string[] {
  const mentions = conditions.flatMap((condition) => mentionsIn(condition, column)).slice(0, MOST_PLACES);
  if (mentions.length === 0) return [];
  const variants = Math.max(LEAVES.length, ...mentions.map(({ values }) => values.length));
  const documents = Array.from({ length: variants }, (_, variant) => {
    const document: Record<string, unknown> = {};
    // A condition on the place itself takes precedence over places within it.
    for (const { path, values } of [...mentions].sort((a, b) => a.values.length - b.values.length))
      put(document, path, values.length > 0 ? values[variant % values.length] : LEAVES[variant % LEAVES.length]);
    return JSON.stringify(document);
  });
  return [...new Set(documents)];
}

function put(document: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  const there = document[name];
  const isObject = typeof there === 'object' && there !== null && !Array.isArray(there);
  if (rest.length === 0) {
    if (!isObject || Object.keys(there).length === 0) document[name] = value;
    return;
  }
  const inner = isObject ? (there as Record<string, unknown>) : {};
  document[name] = inner;
  put(inner, rest, value);
}

function mentionsIn(expression: Expression, column: string): Mention[] {
  return [...mentionsOf(expression, column), ...partsOf(expression).flatMap((part) => mentionsIn(part, column))];
}

/** The places that one operator or function is about, without those of its arguments. */
function mentionsOf(expression: Expression, column: string): Mention[] {
  const at = (place: Expression | undefined, values: readonly unknown[]): Mention[] => {
    const path = place === undefined ? null : pathOf(place, column);
    return path === null || path.length === 0 ? [] : [{ path, values }];
  };
  if (expression.kind === 'any') return at(expression.left, constantsOf(expression.array));
  if (expression.kind === 'cast')
    return expression.type in BY_CAST ? at(expression.arg, [BY_CAST[expression.type]]) : [];
  if (expression.kind === 'function' && /^jsonb?_array_length$/.test(expression.name))
    return at(expression.args[0], [BY_TYPE['array']]);
  if (expression.kind !== 'operator') return at(expression, []);
  const [left, right] = expression.args;
  if (left === undefined || right === undefined) return [];
  if (expression.name === '=') {
    const type = left.kind === 'function' && /^jsonb?_typeof$/.test(left.name) ? constantsOf(right)[0] : undefined;
    if (type !== undefined && left.kind === 'function') return type in BY_TYPE ? at(left.args[0], [BY_TYPE[type]]) : [];
    return [...at(left, constantsOf(right)), ...at(right, constantsOf(left))];
  }
  if (['?', '?&', '?|'].includes(expression.name)) {
    const path = pathOf(left, column);
    return path === null ? [] : constantsOf(right).map((name) => ({ path: [...path, name], values: [] }));
  }
  return at(expression, []);
}

/** The names that lead from a column to a place in its document; null for anything else. */
function pathOf(expression: Expression, column: string): readonly string[] | null {
  if (expression.kind === 'column') return expression.name === column ? [] : null;
  if (expression.kind === 'cast') return pathOf(expression.arg, column);
  if (expression.kind !== 'operator') return null;
  const [left, right] = expression.args;
  const path = left === undefined ? null : pathOf(left, column);
  const names = right === undefined ? [] : constantsOf(right);
  const [name] = names;
  if (path === null || name === undefined) return null;
  if (expression.name === '->' || expression.name === '->>') return /^\d+$/.test(name) ? null : [...path, name];
  if (expression.name === '#>' || expression.name === '#>>')
    return [...path, ...names.flatMap((each) => (/^\{[\w,]+\}$/.test(each) ? each.slice(1, -1).split(',') : [each]))];
  return null;
}

function constantsOf(expression: Expression): string[] {
  switch (expression.kind) {
    case 'constant':
      return expression.text === null ? [] : [expression.text];
    case 'cast':
      return constantsOf(expression.arg);
    case 'array':
      return expression.elements.flatMap(constantsOf);
    default:
      return [];
  }
}
