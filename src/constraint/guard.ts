import { columnsOf, type Expression, operatorsIn } from '../catalog/expression.js';

/**
 * How the values of a column compare. Texts and others only for being equal: their order is the server's collation.
 * `text`: in the order of their texts' bytes, as a uuid is; `truth`: as booleans.
 */
export type Comparison = 'number' | 'instant' | 'text' | 'truth' | 'equality';

const ORDERED: ReadonlySet<string> = new Set(['<', '<=', '>', '>=']);
const EQUAL: ReadonlySet<string> = new Set(['=', '<>', 'is distinct from', 'is not distinct from']);

/** True for a condition that compares columns with each other: no search finds such values, but redrawing rows does. */
export function comparesColumns(condition: Expression): boolean {
  return operatorsIn(condition).some(({ args }) => args.length > 1 && args.every(isColumn));
}

/** Columns that a condition compares with constants. */
export function comparedWithConstants(condition: Expression): string[] {
  return operatorsIn(condition).flatMap(({ args }) => (args.every(isColumn) ? [] : args.flatMap(columnsOf)));
}

/** Columns of which a condition compares something computed. */
export function columnsInFunctions(condition: Expression): string[] {
  return operatorsIn(condition).flatMap(({ args }) => args.filter((arg) => !isColumn(arg)).flatMap(columnsOf));
}

/** True for a condition that `holds` can answer, so that a row that does not meet it can be drawn again. */
export function isReadable(condition: Expression, comparisonOf: (column: string) => Comparison): boolean {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.args.every((arg) => isReadable(arg, comparisonOf));
    case 'not':
      return isReadable(condition.arg, comparisonOf);
    case 'is null':
      return isColumn(condition.arg);
    case 'operator': {
      const [left, right] = condition.args;
      if (left === undefined || right === undefined || ![left, right].every(isOperand)) return false;
      const comparisons = comparisonsOf(condition.args, comparisonOf);
      if (new Set(comparisons).size > 1) return false;
      return (
        EQUAL.has(condition.name) ||
        (ORDERED.has(condition.name) && comparisons[0] !== 'equality' && comparisons[0] !== 'truth')
      );
    }
    case 'any':
    case 'all':
      return (
        isColumn(condition.left) &&
        condition.array.kind === 'array' &&
        condition.array.elements.every(isConstant) &&
        isReadable({ kind: 'operator', name: condition.operator, args: [condition.left, ANYTHING] }, comparisonOf)
      );
    default:
      return false;
  }
}

const ANYTHING: Expression = { kind: 'constant', text: '', type: 'text' };

/** Pairs of columns that a condition compares for being equal. */
export function equalColumns(condition: Expression): (readonly [string, string])[] {
  return operatorsIn(condition).flatMap(({ name, args }) => {
    const [left, right] = args.map((arg) => (isColumn(arg) ? columnsOf(arg)[0] : undefined));
    const isEquality = name === '=' || name === 'is not distinct from';
    return isEquality && left !== undefined && right !== undefined ? [[left, right] as const] : [];
  });
}

/** What the condition is for a row: null for SQL's unknown, with which a CHECK passes. `read` gives a column's text, or null. */
export function holds(
  condition: Expression,
  read: (column: string) => string | null,
  comparisonOf: (column: string) => Comparison,
): boolean | null {
  switch (condition.kind) {
    case 'and':
    case 'or': {
      const decisive = condition.kind === 'or';
      const answers = condition.args.map((arg) => holds(arg, read, comparisonOf));
      return answers.includes(decisive) ? decisive : answers.includes(null) ? null : !decisive;
    }
    case 'any':
    case 'all': {
      if (condition.array.kind !== 'array') return null;
      const parts = condition.array.elements.map(
        (element): Expression => ({ kind: 'operator', name: condition.operator, args: [condition.left, element] }),
      );
      return holds({ kind: condition.kind === 'any' ? 'or' : 'and', args: parts }, read, comparisonOf);
    }
    case 'not': {
      const answer = holds(condition.arg, read, comparisonOf);
      return answer === null ? null : !answer;
    }
    case 'is null':
      return (textOf(condition.arg, read) === null) !== condition.negated;
    case 'operator': {
      const [left, right] = condition.args.map((side) => textOf(side, read));
      if (left === null || right === null) {
        if (condition.name === 'is distinct from') return left !== right;
        return condition.name === 'is not distinct from' ? left === right : null;
      }
      const order = compare(left!, right!, comparisonsOf(condition.args, comparisonOf)[0] ?? 'equality');
      return order === null ? null : answers(condition.name, order);
    }
    default:
      return null;
  }
}

function answers(operator: string, order: number): boolean | null {
  switch (operator) {
    case '=':
    case 'is not distinct from':
      return order === 0;
    case '<>':
    case 'is distinct from':
      return order !== 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    default:
      return null;
  }
}

/** Below, at or above zero; null where the texts cannot be compared here (infinity, years BC). */
function compare(left: string, right: string, comparison: Comparison): number | null {
  if (comparison === 'equality') return left === right ? 0 : 1;
  // As values are written, and as constants stand in conditions: t and true.
  if (comparison === 'truth') return left[0] === right[0] ? 0 : 1;
  if (comparison === 'text') return left < right ? -1 : left > right ? 1 : 0;
  if (comparison === 'instant') {
    if (!INSTANT.test(left) || !INSTANT.test(right)) return null;
    return left < right ? -1 : left > right ? 1 : 0;
  }
  if (/^-?\d+$/.test(left) && /^-?\d+$/.test(right)) {
    const difference = BigInt(left) - BigInt(right);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }
  const difference = Number(left) - Number(right);
  return Number.isNaN(difference) ? null : difference;
}

const INSTANT = /^\d{4}-\d\d-\d\d(?!.*BC)/;

function isColumn(expression: Expression): boolean {
  return expression.kind === 'column' || (expression.kind === 'cast' && isColumn(expression.arg));
}

/** Functions of a text that give the same here as on the server. */
const FUNCTIONS: Readonly<Record<string, (text: string) => string>> = {
  length: lengthOf,
  char_length: lengthOf,
  character_length: lengthOf,
  btrim: (text) => text.replaceAll(/^ +| +$/g, ''),
  ltrim: (text) => text.replace(/^ +/, ''),
  rtrim: (text) => text.replace(/ +$/, ''),
};

function lengthOf(text: string): string {
  return String([...text].length);
}

/** Returns true for what can be computed from a row's texts. */
function isOperand(expression: Expression): boolean {
  if (expression.kind === 'cast') return isOperand(expression.arg);
  if (expression.kind !== 'function') return isColumn(expression) || isConstant(expression);
  return Object.hasOwn(FUNCTIONS, expression.name) && expression.args.length === 1 && isOperand(expression.args[0]!);
}

/** Returns how each operand that is no constant compares. */
function comparisonsOf(args: readonly Expression[], comparisonOf: (column: string) => Comparison): Comparison[] {
  return args.flatMap((arg): Comparison[] => {
    if (arg.kind === 'cast') return comparisonsOf([arg.arg], comparisonOf);
    if (arg.kind === 'function') return [FUNCTIONS[arg.name] === lengthOf ? 'number' : 'equality'];
    return columnsOf(arg).map(comparisonOf);
  });
}

function isConstant(expression: Expression): boolean {
  return expression.kind === 'constant' || (expression.kind === 'cast' && isConstant(expression.arg));
}

function textOf(expression: Expression, read: (column: string) => string | null): string | null {
  if (expression.kind === 'cast') return textOf(expression.arg, read);
  if (expression.kind === 'column') return read(expression.name);
  if (expression.kind === 'function') {
    const text = textOf(expression.args[0]!, read);
    return text === null ? null : FUNCTIONS[expression.name]!(text);
  }
  return expression.kind === 'constant' ? expression.text : null;
}
