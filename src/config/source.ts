import { isMap, isScalar, isSeq, LineCounter, type Node, type ParsedNode, parseDocument, stringify, visit } from 'yaml';
import type { Problem } from './problem.js';

/* `${NAME}` and nothing else. */
const VARIABLE = /^\$\{\w+\}$/;
const USES_VARIABLE = /\$\{\w+\}/;

/* They say which server is used, not what a run does there, and may contain passwords. */
const PRIVATE: ReadonlySet<string> = new Set(['connection', 'url', 'password', 'password_command', 'command']);

/**
 * The text of a configuration file as plain data, with the place of every key. Numbers come out as `number`, but for
 * whole ones beyond 2⁵³ and the seeds, which stay `bigint`: a seed is kept to the last bit.
 */
export class Source {
  readonly file: string;
  private readonly text: string;
  readonly data: Record<string, unknown>;
  readonly problems: readonly Problem[];
  /** False where the text is no YAML of the expected shape at all. */
  readonly readable: boolean;
  private readonly root: ParsedNode | null;
  private readonly lines: LineCounter;
  private readonly overrides = new Map<string, string>();

  constructor(file: string, text: string, environment: Readonly<Record<string, string | undefined>>) {
    this.file = file;
    this.text = text;
    this.lines = new LineCounter();
    const problems: Problem[] = [];
    const document = parseDocument(text, {
      lineCounter: this.lines,
      intAsBigInt: true,
      prettyErrors: false,
      version: '1.2',
    });
    this.root = document.contents;
    for (const error of document.errors) {
      const { line, col } = this.lines.linePos(error.pos[0]);
      problems.push({ place: `${file}:${line}:${col}`, key: '', message: yamlMessage(error.code, error.message) });
    }
    this.data = {};
    let readable = problems.length === 0;
    if (readable) {
      if (this.root !== null && !isMap(this.root) && !(isScalar(this.root) && this.root.value === null)) {
        problems.push({
          place: `${file}:1:1`,
          key: '',
          message: `expected the sections connection: and generator:, got ${describe(isScalar(this.root) ? this.root.value : (this.root as unknown as { items: unknown[] }).items)}`,
        });
        readable = false;
      } else {
        const raw = toData(document, file, problems);
        readable = problems.length === 0;
        this.data = (normalise(raw, [], environment, (path, message) => problems.push(this.problem(path, message))) ??
          {}) as Record<string, unknown>;
      }
    }
    this.problems = problems;
    this.readable = readable;
  }

  /** Lets an option of the command line stand for a key, null for none; problems with it then name the option. */
  override(path: readonly string[], value: unknown, option: string): void {
    let holder = this.data;
    for (const key of path.slice(0, -1)) {
      const next = holder[key];
      if (typeof next !== 'object' || next === null || Array.isArray(next)) holder[key] = {};
      holder = holder[key] as Record<string, unknown>;
    }
    const last = path[path.length - 1]!;
    if (value === null) delete holder[last];
    else holder[last] = value;
    this.overrides.set(path.join('\0'), option);
  }

  /** The file's data as YAML, with variables by their names, and without passwords or comments. */
  withoutSecrets(): string {
    const document = parseDocument(this.text, { intAsBigInt: true });
    visit(document, {
      Pair(_, { key, value }) {
        if (!isScalar(key)) return;
        if (key.value === 'password_command' && isSeq(value))
          for (const argument of value.items.slice(1)) if (isScalar(argument)) argument.value = '***';
        if (!isScalar(value)) return;
        const text = String(value.value);
        if (key.value === 'password' && !VARIABLE.test(text)) value.value = '***';
        // Up to the last "@": a password may hold one.
        if (key.value === 'url') value.value = text.replace(/\/\/([^:@/]*):.*@/s, '//$1:***@');
      },
    });
    const options = [...this.overrides].map(
      ([path, option]) => `# ${option}: ${path.split('\0').join('.')} = ${this.publicValue(path.split('\0'))}\n`,
    );
    return options.join('') + stringify(document.toJS({ maxAliasCount: 100 }));
  }

  /**
   * The settings that are not left to their defaults, by path: `generator.insert_rows`. Connections are left out, and variables
   * have their names, because their values may be secret.
   */
  settings(): Record<string, string> {
    const written: unknown = parseDocument(this.text, { intAsBigInt: true }).toJS({ maxAliasCount: 100 });
    const found: Record<string, string> = {};
    const collect = (value: unknown, path: readonly string[]): void => {
      if (PRIVATE.has(path[path.length - 1] ?? '')) return;
      const asWritten = this.overrides.has(path.join('\0')) ? undefined : valueIn(written, path);
      if (typeof asWritten === 'string' && USES_VARIABLE.test(asWritten)) found[path.join('.')] = asWritten;
      else if (typeof value !== 'object' || value === null) found[path.join('.')] = String(value);
      else if (Array.isArray(value) && value.every((each) => typeof each !== 'object' || each === null))
        found[path.join('.')] = `[${value.map(String).join(', ')}]`;
      else for (const [key, each] of Object.entries(value)) collect(each, [...path, key]);
    };
    collect(this.data, []);
    return found;
  }

  /** A value as others may read it: of a connection, what says where it leads. */
  private publicValue(path: readonly string[]): string {
    const [section, key] = path;
    const isShown =
      section !== 'connection' || ['host', 'port', 'database', 'user', 'ssl', 'embedded'].includes(key ?? '');
    return isShown ? String(this.valueAt(path)) : '***';
  }

  problem(path: readonly PropertyKey[], message: string): Problem {
    return { place: this.placeOf(path), key: path.map(String).join('.'), message };
  }

  /** The value at a path, or undefined. */
  valueAt(path: readonly PropertyKey[]): unknown {
    return valueIn(this.data, path);
  }

  /** `file:line:column` of the innermost key of a path that stands in the file. */
  placeOf(path: readonly PropertyKey[]): string {
    const option = this.overrides.get(path.map(String).join('\0'));
    if (option !== undefined) return option;
    let node: Node | null = this.root;
    let offset = this.root?.range?.[0] ?? 0;
    for (const key of path) {
      if (!isMap(node) && !(node && 'items' in node)) break;
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
        if (pair === undefined) break;
        offset = (pair.key as Node).range?.[0] ?? offset;
        node = pair.value as Node | null;
      } else {
        const item = (node as unknown as { items: Node[] }).items[Number(key)];
        if (item === undefined) break;
        offset = item.range?.[0] ?? offset;
        node = item;
      }
    }
    const { line, col } = this.lines.linePos(offset);
    return `${this.file}:${Math.max(1, line)}:${Math.max(1, col)}`;
  }
}

/** A value as error messages show it; a long one is cut. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'nothing';
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return 'a map';
}

function yamlMessage(code: string, message: string): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'a tab is used for indentation; YAML needs spaces';
    case 'DUPLICATE_KEY':
      return 'this key occurs twice in the same section; remove one';
    default:
      return `not valid YAML: ${message.split('\n')[0]}`;
  }
}

function toData(document: ReturnType<typeof parseDocument>, file: string, problems: Problem[]): unknown {
  try {
    return document.toJS({ maxAliasCount: 100, mapAsMap: true });
  } catch (error) {
    problems.push({
      place: `${file}:1:1`,
      key: '',
      message: `too many YAML aliases (*name): ${(error as Error).message}`,
    });
    return undefined;
  }
}

type Report = (path: readonly string[], message: string) => void;

/** Maps to plain objects (null keys left out: `key:` means "not set"), bigint to number where it loses nothing, `${NAME}` to its value. */
function normalise(
  value: unknown,
  path: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  report: Report,
): unknown {
  if (value instanceof Map) {
    const keepNull = path[1] === 'column_overrides';
    const result: Record<string, unknown> = {};
    for (const [key, entry] of value) {
      const name = String(key);
      // `type: null` names a kind of override; YAML reads it as nothing.
      if (keepNull && path.length === 4 && name === 'type' && entry === null) {
        result[name] = 'null';
        continue;
      }
      if (name === '__proto__') {
        report([...path, name], 'unknown key');
        continue;
      }
      const converted = normalise(entry, [...path, name], environment, report);
      if (converted !== null || keepNull) result[name] = converted;
    }
    return result;
  }
  if (Array.isArray(value))
    return value.map((entry, index) => normalise(entry, [...path, String(index)], environment, report));
  if (typeof value === 'bigint') {
    const isSeed = path[1] === 'random_seed' || path[1] === 'faker_seed';
    return isSeed || BigInt(Number(value)) !== value ? value : Number(value);
  }
  if (typeof value === 'string') {
    return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, name: string) => {
      const found = environment[name];
      if (found === undefined) report(path, `the environment variable ${name} is not set`);
      return found ?? whole;
    });
  }
  return value;
}

function valueIn(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}
