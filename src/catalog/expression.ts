/**
 * An SQL expression as a plain syntax tree: what the solver of constraints reads. Column names are those of the
 * relation (or `value`, of a domain); operators and functions carry their last name; what has no place here is opaque.
 */
export type Expression =
  | { readonly kind: 'column'; readonly name: string }
  /** `text` is null for NULL. */
  | { readonly kind: 'constant'; readonly text: string | null; readonly type: 'number' | 'text' | 'boolean' | 'null' }
  | { readonly kind: 'operator'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'function'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'cast'; readonly arg: Expression; readonly type: string }
  | { readonly kind: 'and' | 'or'; readonly args: readonly Expression[] }
  | { readonly kind: 'not'; readonly arg: Expression }
  | { readonly kind: 'is null'; readonly arg: Expression; readonly negated: boolean }
  /** IS [NOT] TRUE | FALSE | UNKNOWN. */
  | {
      readonly kind: 'is truth';
      readonly arg: Expression;
      readonly truth: 'true' | 'false' | 'unknown';
      readonly negated: boolean;
    }
  /** left operator ANY | ALL (array). IN is written so, too. */
  | {
      readonly kind: 'any' | 'all';
      readonly operator: string;
      readonly left: Expression;
      readonly array: Expression;
    }
  | { readonly kind: 'array' | 'row'; readonly elements: readonly Expression[] }
  | {
      readonly kind: 'case';
      readonly whens: readonly { readonly condition: Expression; readonly result: Expression }[];
      readonly otherwise: Expression | null;
    }
  | { readonly kind: 'opaque'; readonly args: readonly Expression[] };

/** The parts of an expression. */
export function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'column':
    case 'constant':
      return [];
    case 'operator':
    case 'function':
    case 'and':
    case 'or':
    case 'opaque':
      return expression.args;
    case 'cast':
    case 'not':
    case 'is null':
    case 'is truth':
      return [expression.arg];
    case 'any':
    case 'all':
      return [expression.left, expression.array];
    case 'array':
    case 'row':
      return expression.elements;
    case 'case':
      return [
        ...expression.whens.flatMap(({ condition, result }) => [condition, result]),
        ...(expression.otherwise === null ? [] : [expression.otherwise]),
      ];
  }
}

/** Names of the columns that an expression mentions, each once, in order of appearance. */
export function columnsOf(expression: Expression): string[] {
  const names = new Set<string>();
  const visit = (part: Expression): void => {
    if (part.kind === 'column') names.add(part.name);
    else for (const each of partsOf(part)) visit(each);
  };
  visit(expression);
  return [...names];
}

/** Texts of all constants in an expression, without NULL. */
export function constantsIn(expression: Expression): string[] {
  if (expression.kind === 'constant') return expression.text === null ? [] : [expression.text];
  return partsOf(expression).flatMap(constantsIn);
}

/** All operators in an expression, ANY and ALL over arrays among them. */
export function operatorsIn(expression: Expression): { readonly name: string; readonly args: readonly Expression[] }[] {
  const nested = partsOf(expression).flatMap(operatorsIn);
  if (expression.kind === 'operator') return [expression, ...nested];
  if (expression.kind === 'any' || expression.kind === 'all')
    return [{ name: expression.operator, args: [expression.left, expression.array] }, ...nested];
  return nested;
}

/** All calls of functions in an expression. */
export function functionCallsIn(expression: Expression): (Expression & { kind: 'function' })[] {
  const nested = partsOf(expression).flatMap(functionCallsIn);
  return expression.kind === 'function' ? [expression, ...nested] : nested;
}

/** Lower-case names of all functions that an expression calls. */
export function functionsIn(expression: Expression): string[] {
  return functionCallsIn(expression).map(({ name }) => name.toLowerCase());
}

/** All casts in an expression. */
export function castsIn(expression: Expression): (Expression & { kind: 'cast' })[] {
  const nested = partsOf(expression).flatMap(castsIn);
  return expression.kind === 'cast' ? [expression, ...nested] : nested;
}

/** The expression with each of its direct parts replaced. */
function mapped(expression: Expression, map: (part: Expression) => Expression): Expression {
  switch (expression.kind) {
    case 'column':
    case 'constant':
      return expression;
    case 'operator':
    case 'function':
    case 'and':
    case 'or':
    case 'opaque':
      return { ...expression, args: expression.args.map(map) };
    case 'cast':
    case 'not':
    case 'is null':
    case 'is truth':
      return { ...expression, arg: map(expression.arg) };
    case 'any':
    case 'all':
      return { ...expression, left: map(expression.left), array: map(expression.array) };
    case 'array':
    case 'row':
      return { ...expression, elements: expression.elements.map(map) };
    case 'case':
      return {
        kind: 'case',
        whens: expression.whens.map(({ condition, result }) => ({ condition: map(condition), result: map(result) })),
        otherwise: expression.otherwise === null ? null : map(expression.otherwise),
      };
  }
}

/** The expression with one column called by another name. */
export function renamed(expression: Expression, from: string, to: string): Expression {
  if (expression.kind === 'column') return expression.name === from ? { kind: 'column', name: to } : expression;
  return mapped(expression, (part) => renamed(part, from, to));
}

/** The expression with another one in the place of a column. */
export function replaced(expression: Expression, column: string, by: Expression): Expression {
  if (expression.kind === 'column') return expression.name === column ? by : expression;
  return mapped(expression, (part) => replaced(part, column, by));
}

/** The expression without casts of columns that change nothing, as `keeps` tells. */
export function withoutCasts(expression: Expression, keeps: (column: string, type: string) => boolean): Expression {
  const plain = mapped(expression, (part) => withoutCasts(part, keeps));
  return plain.kind === 'cast' && plain.arg.kind === 'column' && keeps(plain.arg.name, plain.type) ? plain.arg : plain;
}
