import type { Expression } from '../catalog/expression.js';

/* Functions, operators and types of casts that take every value of the types that they are for. Others may raise an error. */
const FUNCTIONS: ReadonlySet<string> = new Set(
  `lower upper btrim ltrim rtrim trim coalesce nullif greatest least concat concat_ws md5 length char_length octet_length
  replace reverse left right strpos position abs date_trunc extract date_part to_tsvector setweight jsonb_typeof
  num_nulls num_nonnulls initcap hashtext`.split(/\s+/),
);
const OPERATORS: ReadonlySet<string> = new Set([
  'is distinct from',
  'is not distinct from',
  ...'|| = <> < <= > >= -> ->> #> #>> @> <@ ? ?| ?& ~~ !~~ ~~* !~~* &&'.split(' '),
]);
/* Times, numbers and documents are read from texts, and not every text is one. */
const TYPES: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'citext', 'name']);

/** True for an expression that has a value for every row; false where an ordinary value might end it with an error. */
export function isTotal(expression: Expression): boolean {
  switch (expression.kind) {
    case 'column':
    case 'constant':
      return true;
    case 'function':
      return FUNCTIONS.has(expression.name) && expression.args.every(isTotal);
    case 'operator':
      return OPERATORS.has(expression.name) && expression.args.every(isTotal);
    case 'cast':
      return expression.arg.kind === 'constant' || (TYPES.has(expression.type) && isTotal(expression.arg));
    case 'and':
    case 'or':
      return expression.args.every(isTotal);
    case 'not':
    case 'is null':
    case 'is truth':
      return isTotal(expression.arg);
    case 'any':
    case 'all':
      return OPERATORS.has(expression.operator) && isTotal(expression.left) && isTotal(expression.array);
    case 'array':
    case 'row':
      return expression.elements.every(isTotal);
    case 'case':
      return (
        expression.whens.every(({ condition, result }) => isTotal(condition) && isTotal(result)) &&
        (expression.otherwise === null || isTotal(expression.otherwise))
      );
    case 'opaque':
      return false;
  }
}
