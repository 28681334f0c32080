import { columnsOf, type Expression } from '../catalog/expression.js';
import type { Condition } from '../constraint/restriction.js';

/** A column that a condition says to be equal to what is computed from others, as the server writes it. */
export interface Derived {
  readonly column: string;
  readonly text: string;
}

/** Columns that conditions derive from others: `total = net + vat`, `short = left(name, 8)`. */
export function derivedIn(conditions: readonly Condition[]): Derived[] {
  return conditions.flatMap(({ text, expression, through, domainColumn, computed }) => {
    if (through.length > 0 || domainColumn !== null || computed) return [];
    const parts = expression.kind === 'and' ? expression.args : [expression];
    const texts = partsOfText(text, ' AND ');
    // If the text does not have the same parts as the expression, neither can be relied on.
    return texts.length === parts.length ? parts.flatMap((part, at) => derivedBy(part, texts[at]!)) : [];
  });
}

function derivedBy(expression: Expression, text: string): Derived[] {
  if (expression.kind !== 'operator' || expression.name !== '=') return [];
  const sides = partsOfText(text, ' = ');
  if (sides.length !== 2) return [];
  return [0, 1].flatMap((at) => {
    const [side, other] = [expression.args[at], expression.args[1 - at]];
    if (side === undefined || other === undefined) return [];
    const [column, ...more] = columnsOf(side);
    const sources = columnsOf(other);
    const isPlain = withoutCasts(side).kind === 'column' && column !== undefined && more.length === 0;
    return isPlain && sources.length > 0 && !sources.includes(column) ? [{ column, text: sides[1 - at]! }] : [];
  });
}

function withoutCasts(expression: Expression): Expression {
  return expression.kind === 'cast' ? withoutCasts(expression.arg) : expression;
}

/** The parts of a text between separators that stand in no parentheses and no quotes; parentheses around all of it are taken away. */
function partsOfText(text: string, separator: string): string[] {
  const inner = text.startsWith('(') && endOfGroup(text, 0) === text.length - 1 ? text.slice(1, -1) : null;
  if (inner !== null) return partsOfText(inner, separator);
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '(') at = endOfGroup(text, at);
    else if (character === "'" || character === '"') at = endOfQuote(text, at);
    else if (text.startsWith(separator, at)) {
      parts.push(text.slice(from, at));
      from = at + separator.length;
      at = from - 1;
    }
  }
  return [...parts, text.slice(from)];
}

function endOfGroup(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const character = text[at]!;
    if (character === "'" || character === '"') at = endOfQuote(text, at);
    else if (character === '(') depth++;
    else if (character === ')' && --depth === 0) return at;
  }
  return text.length;
}

/* A doubled quote ends one text and begins the next, which comes to the same. */
function endOfQuote(text: string, from: number): number {
  const end = text.indexOf(text[from]!, from + 1);
  return end < 0 ? text.length : end;
}
