import type { Expression } from './expression.js';

/* A tenth of a second of every start: commands that read no catalog do without. */
let parser: typeof import('libpg-query') | null = null;

/** Makes PostgreSQL's own parser ready; once per process, before the first `parseExpression`. */
export async function loadParser(): Promise<void> {
  parser ??= await import('libpg-query');
  await parser.loadModule();
}

type Node = Readonly<Record<string, unknown>>;

/** Parses the text of an expression as `pg_get_expr` writes it; what does not parse is opaque. */
export function parseExpression(text: string): Expression {
  try {
    const { stmts } = parser!.parseSync(`SELECT ${text}`) as unknown as {
      stmts: { stmt: { SelectStmt: { targetList: { ResTarget: { val: Node } }[] } } }[];
    };
    return convert(stmts[0]!.stmt.SelectStmt.targetList[0]!.ResTarget.val);
  } catch {
    // A newer server's syntax: the constraint is searched instead of solved.
    return { kind: 'opaque', args: [] };
  }
}

function convert(node: Node): Expression {
  const [tag, body] = Object.entries(node)[0] as [string, Node];
  switch (tag) {
    case 'ColumnRef': {
      const fields = body['fields'] as Node[];
      const name = nameOf(fields[fields.length - 1]!);
      return name === undefined ? { kind: 'opaque', args: [] } : { kind: 'column', name };
    }
    case 'A_Const':
      return constant(body);
    case 'TypeCast': {
      const type = body['typeName'] as Node;
      const arg = at(body, 'arg');
      const elements = 'arrayBounds' in type && arg.kind === 'constant' ? elementsOf(arg.text) : null;
      return { kind: 'cast', arg: elements === null ? arg : { kind: 'array', elements }, type: castType(type) };
    }
    case 'CollateClause':
      return at(body, 'arg');
    case 'BoolExpr':
      return boolean(body);
    case 'NullTest':
      return { kind: 'is null', arg: at(body, 'arg'), negated: body['nulltesttype'] === 'IS_NOT_NULL' };
    case 'BooleanTest': {
      const [, not, truth] = /^IS_(NOT_)?(TRUE|FALSE|UNKNOWN)$/.exec(body['booltesttype'] as string)!;
      return {
        kind: 'is truth',
        arg: at(body, 'arg'),
        truth: truth!.toLowerCase() as 'true' | 'false' | 'unknown',
        negated: not !== undefined,
      };
    }
    case 'A_Expr':
      return operator(body);
    case 'FuncCall':
      return { kind: 'function', name: lastName(body['funcname'] as Node[]), args: all(body, 'args') };
    case 'CoalesceExpr':
      return { kind: 'function', name: 'coalesce', args: all(body, 'args') };
    case 'MinMaxExpr':
      return { kind: 'function', name: body['op'] === 'IS_LEAST' ? 'least' : 'greatest', args: all(body, 'args') };
    case 'A_ArrayExpr':
      return { kind: 'array', elements: all(body, 'elements') };
    case 'RowExpr':
      return { kind: 'row', elements: all(body, 'args') };
    case 'List':
      return { kind: 'array', elements: all(body, 'items') };
    case 'CaseExpr':
      return caseOf(body);
    default:
      return { kind: 'opaque', args: nested(body) };
  }
}

/** The elements of an array that is written as one text, `{a,"b c",NULL}`; null where it has more than one dimension. */
function elementsOf(text: string | null): Expression[] | null {
  const body = /^\s*\{([^{}]*)\}\s*$/.exec(text ?? '')?.[1];
  if (body === undefined) return null;
  const parts = [...body.matchAll(/\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|$)/g)].filter(
    (match) => match[1] !== undefined || match[2] !== '',
  );
  return parts.map((match): Expression => {
    const quoted = match[1]?.replaceAll(/\\(.)/g, '$1');
    if (quoted === undefined && match[2]!.trim().toUpperCase() === 'NULL')
      return { kind: 'constant', text: null, type: 'null' };
    return { kind: 'constant', text: quoted ?? match[2]!.trim(), type: 'text' };
  });
}

function at(body: Node, key: string): Expression {
  return convert(body[key] as Node);
}

function all(body: Node, key: string): Expression[] {
  return ((body[key] ?? []) as Node[]).map(convert);
}

/* Whatever it is, its columns count. */
function nested(body: unknown): Expression[] {
  if (Array.isArray(body)) return body.flatMap(nested);
  if (typeof body !== 'object' || body === null) return [];
  return Object.entries(body).flatMap(([key, value]) =>
    key === 'ColumnRef' || key === 'A_Const' ? [convert({ [key]: value })] : nested(value),
  );
}

function nameOf(node: Node): string | undefined {
  return (node['String'] as { sval?: string } | undefined)?.sval;
}

/* A length or precision may cut the value: such a type must not pass for the one without it. */
function castType(node: Node): string {
  const name = lastName(node['names'] as Node[]);
  return node['typmods'] === undefined ? name : `${name}(…)`;
}

function lastName(names: readonly Node[]): string {
  return nameOf(names[names.length - 1]!) ?? '';
}

/* Zero values are left out of the parser's tree. */
function constant(body: Node): Expression {
  if (body['isnull'] === true) return { kind: 'constant', text: null, type: 'null' };
  if ('ival' in body)
    return { kind: 'constant', text: String((body['ival'] as { ival?: number }).ival ?? 0), type: 'number' };
  if ('fval' in body) return { kind: 'constant', text: (body['fval'] as { fval: string }).fval, type: 'number' };
  if ('boolval' in body)
    return {
      kind: 'constant',
      text: (body['boolval'] as { boolval?: boolean }).boolval === true ? 'true' : 'false',
      type: 'boolean',
    };
  if ('bsval' in body)
    return { kind: 'constant', text: (body['bsval'] as { bsval: string }).bsval.slice(1), type: 'text' };
  return { kind: 'constant', text: (body['sval'] as { sval?: string }).sval ?? '', type: 'text' };
}

function boolean(body: Node): Expression {
  const args = all(body, 'args');
  switch (body['boolop']) {
    case 'AND_EXPR':
      return { kind: 'and', args };
    case 'OR_EXPR':
      return { kind: 'or', args };
    default:
      return { kind: 'not', arg: args[0]! };
  }
}

function operator(body: Node): Expression {
  const name = lastName(body['name'] as Node[]);
  const left = body['lexpr'] === undefined ? [] : [at(body, 'lexpr')];
  const right = body['rexpr'] === undefined ? [] : [at(body, 'rexpr')];
  switch (body['kind']) {
    case 'AEXPR_OP':
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
    case 'AEXPR_SIMILAR':
      return { kind: 'operator', name, args: [...left, ...right] };
    case 'AEXPR_OP_ANY':
      return { kind: 'any', operator: name, left: left[0]!, array: right[0]! };
    case 'AEXPR_OP_ALL':
      return { kind: 'all', operator: name, left: left[0]!, array: right[0]! };
    case 'AEXPR_IN':
      return { kind: name === '<>' ? 'all' : 'any', operator: name, left: left[0]!, array: right[0]! };
    case 'AEXPR_BETWEEN':
    case 'AEXPR_NOT_BETWEEN': {
      const [low, high] = (right[0] as Expression & { kind: 'array' }).elements;
      const between: Expression = {
        kind: 'and',
        args: [
          { kind: 'operator', name: '>=', args: [left[0]!, low!] },
          { kind: 'operator', name: '<=', args: [left[0]!, high!] },
        ],
      };
      return body['kind'] === 'AEXPR_BETWEEN' ? between : { kind: 'not', arg: between };
    }
    case 'AEXPR_DISTINCT':
      return { kind: 'operator', name: 'is distinct from', args: [...left, ...right] };
    case 'AEXPR_NOT_DISTINCT':
      return { kind: 'operator', name: 'is not distinct from', args: [...left, ...right] };
    default:
      return { kind: 'opaque', args: [...left, ...right] };
  }
}

function caseOf(body: Node): Expression {
  const subject = body['arg'] === undefined ? null : at(body, 'arg');
  return {
    kind: 'case',
    whens: (body['args'] as Node[]).map((when) => {
      const clause = when['CaseWhen'] as Node;
      const condition = at(clause, 'expr');
      return {
        condition: subject === null ? condition : { kind: 'operator', name: '=', args: [subject, condition] },
        result: at(clause, 'result'),
      };
    }),
    otherwise: body['defresult'] === undefined ? null : at(body, 'defresult'),
  };
}
