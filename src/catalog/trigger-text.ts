/** What the text of a function says about the rows that it wants: read without understanding the language. */
export interface TriggerText {
  /** Columns of NEW that it mentions, in order of appearance. */
  readonly columns: readonly string[];
  /** The texts and numbers in it, each once, and texts that match the patterns among them. */
  readonly constants: readonly string[];
  /** Patterns that a value is compared with, as JavaScript writes them. */
  readonly patterns: readonly string[];
  /** Tables that it reads or writes, without their schemas. */
  readonly tables: readonly string[];
  /** Tables that it writes, without their schemas, and functions that it calls; `isDynamic`: it makes statements of texts. */
  readonly writes: readonly string[];
  readonly calls: readonly string[];
  readonly isDynamic: boolean;
  /** Settings that it asks for with current_setting. */
  readonly settings: readonly string[];
  /** What it draws from that is another value each time: a clock, chance, a sequence; null: nothing of the kind. */
  readonly volatile: string | null;
  /** True where it looks at rows of a table: what it accepts may depend on what other lanes have written. */
  readonly readsRows: boolean;
}

const IDENTIFIER = '"(?:[^"]|"")+"|[a-z_][\\w$]*';

/** Reads the body of a function in SQL, PL/pgSQL or any language that looks alike. */
export function readTriggerText(source: string): TriggerText {
  const text = source.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' ');
  const strings = [...text.matchAll(/'((?:[^']|'')*)'/g)].map((match) => match[1]!.replaceAll("''", "'"));
  const bare = text.replaceAll(/'(?:[^']|'')*'/g, "''");
  const numbers = [...bare.matchAll(/(?<![\w$.])\d+(?:\.\d+)?/g)].map((match) => match[0]);
  const patterns = [...text.matchAll(/(?:!?~\*?|similar\s+to)\s*E?'((?:[^']|'')*)'/gi)].map((match) => match[1]!);
  return {
    columns: distinct(namesAfter(bare, 'new\\.')),
    constants: distinct([...strings.filter((each) => each.length <= MOST_LENGTH), ...numbers]),
    patterns: distinct(patterns),
    tables: distinct(namesAfter(bare, `\\b(?:from|join|into|update|table)\\s+(?:only\\s+)?(?:(?:${IDENTIFIER})\\.)?`)),
    writes: distinct(
      namesAfter(
        bare,
        `\\b(?:insert\\s+into|update|delete\\s+from|merge\\s+into)\\s+(?:only\\s+)?(?:(?:${IDENTIFIER})\\.)?`,
      ),
    ),
    calls: distinct([...bare.matchAll(/([a-z_][\w$]*)\s*\(/gi)].map((match) => match[1]!.toLowerCase())),
    isDynamic: /\bexecute\b/i.test(bare),
    settings: distinct([...text.matchAll(/current_setting\s*\(\s*'([^']+)'/gi)].map((match) => match[1]!)),
    volatile:
      VOLATILE.exec(bare)?.[0]
        ?.replace(/\s*\($/, '()')
        .toLowerCase() ?? null,
    readsRows: /\b(?:select|perform|exists)\b[\s\S]*?\bfrom\b/i.test(bare),
  };
}

/**
 * Tables that a function's text writes, by itself or through others that it calls; null where that cannot be read, since
 * statements are made of texts. `sources`: texts of the database's own functions by name.
 */
export function writtenBy(source: string, sources: ReadonlyMap<string, readonly string[]>): readonly string[] | null {
  const written = new Set<string>();
  for (const { writes, isDynamic } of reached([source], sources)) {
    if (isDynamic) return null;
    for (const name of writes) written.add(name);
  }
  return [...written];
}

/* The most functions whose texts are read for the values that they want. */
const MOST_READ = 12;

/** Returns the given texts, and those of the functions that they call, directly or not: the nearest first. */
export function withCalled(sources: readonly string[], all: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const texts: string[] = [];
  for (const { source } of reached(sources, all)) if (texts.push(source) >= MOST_READ + sources.length) break;
  return texts;
}

function* reached(
  sources: readonly string[],
  all: ReadonlyMap<string, readonly string[]>,
): Generator<TriggerText & { readonly source: string }> {
  const passed = new Set<string>();
  const open = [...sources];
  for (let source = open.shift(); source !== undefined; source = open.shift()) {
    if (passed.has(source)) continue;
    passed.add(source);
    const text = readTriggerText(source);
    yield { ...text, source };
    for (const name of text.calls) open.push(...(all.get(name) ?? []));
  }
}

const MOST_LENGTH = 200;
const VOLATILE =
  /\b(?:now\s*\(|current_timestamp|current_date|localtimestamp|clock_timestamp\s*\(|statement_timestamp\s*\(|random\s*\(|nextval\s*\(|gen_random_uuid\s*\(|uuid_generate_v[14]\s*\()/i;

function namesAfter(text: string, before: string): string[] {
  const matches = text.matchAll(new RegExp(`${before}(${IDENTIFIER})`, 'gi'));
  return [...matches].map((match) => {
    const name = match[1]!;
    return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
  });
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)];
}
