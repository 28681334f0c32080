import { columnsOf, type Expression, operatorsIn } from '../catalog/expression.js';

/** How the values of a column compare. Texts and others only for being equal: their order is the server's collation. */
export type Comparison = 'number' | 'instant' | 'equality';

const ORDERED: ReadonlySet<string> = new Set(['<', '<=', '>', '>=']);
const EQUAL: ReadonlySet<string> = new Set(['=', '<>', 'is distinct from', 'is not distinct from']);

/**
 * True for a condition that compares columns with each other and that `holds` can answer. Such a condition needs no
 * search: a row that does not meet it is drawn again.
 */
export function isGuard(condition: Expression, comparisonOf: (column: string) => Comparison): boolean {
  return isReadable(condition, comparisonOf) && operatorsIn(condition).some(({ args }) => args.every(isColumn));
}

function isReadable(condition: Expression, comparisonOf: (column: string) => Comparison): boolean {
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
      if (
        left === undefined ||
        right === undefined ||
        ![left, right].every((side) => isColumn(side) || isConstant(side))
      )
        return false;
      const comparisons = columnsOf(condition).map(comparisonOf);
      if (new Set(comparisons).size > 1) return false;
      return EQUAL.has(condition.name) || (ORDERED.has(condition.name) && comparisons[0] !== 'equality');
    }
    default:
      return false;
  }
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
      const order = compare(left!, right!, comparisonOf(columnsOf(condition)[0]!));
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

function isConstant(expression: Expression): boolean {
  return expression.kind === 'constant' || (expression.kind === 'cast' && isConstant(expression.arg));
}

function textOf(expression: Expression, read: (column: string) => string | null): string | null {
  if (expression.kind === 'cast') return textOf(expression.arg, read);
  if (expression.kind === 'column') return read(expression.name);
  return expression.kind === 'constant' ? expression.text : null;
}
