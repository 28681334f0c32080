import type { Expression } from '../catalog/expression.js';

/* A count of conditions over more than these is not divided. */
const MOST_COUNTED = 8;

/** Returns a condition as alternatives, each a list of parts that all must hold; null if there are more than `most`. */
export function alternativesOf(condition: Expression, most: number): Expression[][] | null {
  switch (condition.kind) {
    case 'or':
      return either(condition.args, most);
    case 'and':
      return all(condition.args, most);
    case 'not': {
      const opposite = negated(condition.arg);
      return opposite.kind === 'not' ? [[opposite]] : alternativesOf(opposite, most);
    }
    case 'case':
      return either(branchesOf(condition), most);
    case 'operator': {
      const divided = divide(condition);
      return divided === null ? [[condition]] : either(divided, most);
    }
    default:
      return [[condition]];
  }
}

function either(conditions: readonly Expression[], most: number): Expression[][] | null {
  const ways: Expression[][] = [];
  for (const each of conditions) {
    const found = alternativesOf(each, most);
    if (found === null || ways.length + found.length > most) return null;
    ways.push(...found);
  }
  return ways;
}

function all(conditions: readonly Expression[], most: number): Expression[][] | null {
  let ways: Expression[][] = [[]];
  for (const each of conditions) {
    const found = alternativesOf(each, most);
    if (found === null || ways.length * found.length > most) return null;
    ways = ways.flatMap((way) => found.map((other) => [...way, ...other]));
  }
  return ways;
}

const and = (...args: Expression[]): Expression => ({ kind: 'and', args });

/** Each WHEN that is reached, with what it asks for. A CASE without ELSE is NULL at its end, which a CHECK lets pass. */
function branchesOf({ whens, otherwise }: Expression & { readonly kind: 'case' }): Expression[] {
  const before: Expression[] = [];
  const branches: Expression[] = [];
  for (const { condition, result } of whens) {
    if (!isConstant(result, 'false')) branches.push(and(...before, condition, result));
    before.push(negated(condition));
  }
  if (otherwise === null || !isConstant(otherwise, 'false'))
    branches.push(and(...before, ...(otherwise === null ? [] : [otherwise])));
  return branches;
}

/** Two conditions that are equal or differ, or a count of conditions: `num_nonnulls(a, b) = 1`. Null: neither of them. */
function divide({ name, args }: Expression & { readonly kind: 'operator' }): Expression[] | null {
  const [left, right] = args;
  if (left === undefined || right === undefined) return null;
  if ((name === '=' || name === '<>') && areConditions(left, right)) {
    const isEqual = name === '=';
    return [and(left, isEqual ? right : negated(right)), and(negated(left), isEqual ? negated(right) : right)];
  }
  const counted = countedIn(left);
  const limit = right.kind === 'constant' && right.type === 'number' ? Number(right.text) : Number.NaN;
  if (counted === null || counted.length > MOST_COUNTED || !(name in COMPARE) || Number.isNaN(limit)) return null;
  return subsets(counted.length)
    .filter((holds) => COMPARE[name]!(holds.filter(Boolean).length, limit))
    .map((holds) => and(...counted.map((each, index) => (holds[index]! ? each : negated(each)))));
}

const COMPARE: Readonly<Record<string, (count: number, limit: number) => boolean>> = {
  '=': (count, limit) => count === limit,
  '<>': (count, limit) => count !== limit,
  '<': (count, limit) => count < limit,
  '<=': (count, limit) => count <= limit,
  '>': (count, limit) => count > limit,
  '>=': (count, limit) => count >= limit,
};

function subsets(size: number): boolean[][] {
  return Array.from({ length: 1 << size }, (_, bits) =>
    Array.from({ length: size }, (_, index) => ((bits >> index) & 1) === 1),
  );
}

/** The conditions whose number an expression is: num_nonnulls, num_nulls, a sum of casts or of CASEs; null: it is another. */
function countedIn(expression: Expression): Expression[] | null {
  switch (expression.kind) {
    case 'function': {
      const name = expression.name.toLowerCase();
      if (name !== 'num_nonnulls' && name !== 'num_nulls') return null;
      return expression.args.map((arg) => ({ kind: 'is null', arg, negated: name === 'num_nonnulls' }));
    }
    case 'operator': {
      if (expression.name !== '+' || expression.args.length !== 2) return null;
      const [left, right] = expression.args.map(countedIn);
      return left && right ? [...left, ...right] : null;
    }
    case 'cast':
      return /^int/.test(expression.type) && isCondition(expression.arg) ? [expression.arg] : null;
    case 'case': {
      const [when, ...others] = expression.whens;
      const { otherwise } = expression;
      if (when === undefined || others.length > 0 || otherwise === null) return null;
      if (isConstant(when.result, '1') && isConstant(otherwise, '0')) return [when.condition];
      return isConstant(when.result, '0') && isConstant(otherwise, '1') ? [negated(when.condition)] : null;
    }
    default:
      return null;
  }
}

function isConstant(expression: Expression, text: string): boolean {
  return expression.kind === 'constant' && expression.text === text;
}

/* A column beside a condition is a boolean. */
function areConditions(left: Expression, right: Expression): boolean {
  const mayBe = (each: Expression) => isCondition(each) || each.kind === 'column';
  return (isCondition(left) && mayBe(right)) || (isCondition(right) && mayBe(left));
}

function isCondition(expression: Expression): boolean {
  switch (expression.kind) {
    case 'and':
    case 'or':
    case 'not':
    case 'is null':
    case 'is truth':
    case 'any':
    case 'all':
      return true;
    case 'operator':
      return expression.name in OPPOSITE;
    default:
      return false;
  }
}

const OPPOSITE: Readonly<Record<string, string>> = {
  '=': '<>',
  '<>': '=',
  '<': '>=',
  '>=': '<',
  '>': '<=',
  '<=': '>',
  '~': '!~',
  '!~': '~',
  '~*': '!~*',
  '!~*': '~*',
  '~~': '!~~',
  '!~~': '~~',
  '~~*': '!~~*',
  '!~~*': '~~*',
};

/** The condition that holds where this one does not, both without NULL. */
function negated(condition: Expression): Expression {
  switch (condition.kind) {
    case 'not':
      return condition.arg;
    case 'and':
      return { kind: 'or', args: condition.args.map(negated) };
    case 'or':
      return and(...condition.args.map(negated));
    case 'is null':
    case 'is truth':
      return { ...condition, negated: !condition.negated };
    case 'operator': {
      const name = OPPOSITE[condition.name];
      return name === undefined ? { kind: 'not', arg: condition } : { ...condition, name };
    }
    case 'any':
    case 'all': {
      const operator = OPPOSITE[condition.operator];
      if (operator === undefined) return { kind: 'not', arg: condition };
      return { ...condition, kind: condition.kind === 'any' ? 'all' : 'any', operator };
    }
    default:
      return { kind: 'not', arg: condition };
  }
}
