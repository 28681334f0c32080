import { isLosslessNumber, parse as parseJson } from 'lossless-json';
import { canonicalNumeric, classifyNumeric } from './numbers.js';
import { classifyText } from './texts.js';
import { graver, type ValueClass, type ValueKind } from './value-kind.js';

/** How json and jsonb are compared: without spaces, and with members in any order. */
export const JSON_KIND: ValueKind = {
  canonical: (text) => {
    try {
      return jsonText(parseJson(text));
    } catch {
      // Type json keeps duplicate members, which the parser refuses; but spaces between tokens still mean nothing.
      return text.replaceAll(/("(?:[^"\\]|\\.)*")|\s+/g, '$1');
    }
  },
  classify: (a, b) => {
    try {
      return classifyJson(parseJson(a), parseJson(b)) ?? 'other';
    } catch {
      return 'other';
    }
  },
};

/** The text that all texts of a document share. */
export function jsonText(value: unknown): string {
  if (isLosslessNumber(value)) return canonicalNumeric(value.value) ?? value.value;
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${jsonText(member)}`).join(',')}}`;
}

/** The gravest difference of two documents; null where there is none. */
function classifyJson(a: unknown, b: unknown): ValueClass | null {
  if (jsonText(a) === jsonText(b)) return null;
  if (isLosslessNumber(a) && isLosslessNumber(b)) return classifyNumeric(a.value, b.value);
  if (typeof a === 'string' && typeof b === 'string') return classifyText(a, b);
  if (a === null || b === null) return 'null';
  if (typeof a !== 'object' || typeof b !== 'object' || Array.isArray(a) !== Array.isArray(b)) return 'other';
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const names = new Set([...Object.keys(x), ...Object.keys(y)]);
  let gravest: ValueClass | null = null;
  for (const name of names) {
    if (!Object.hasOwn(x, name) || !Object.hasOwn(y, name)) return 'other';
    gravest = graver(gravest, classifyJson(x[name], y[name]));
  }
  return gravest;
}

/** Pairs as the server writes them, `"a"=>"1"`, or as a JSON object. */
function pairsOf(text: string): Record<string, unknown> | null {
  if (/^\s*\{/.test(text)) {
    try {
      return parseJson(text) as Record<string, unknown>;
    } catch {
      return null;
    }
  }
  const pairs = [...text.matchAll(/"((?:[^"\\]|\\.)*)"\s*=>\s*(?:"((?:[^"\\]|\\.)*)"|NULL)(?:\s*,\s*|\s*$)/gi)];
  if (pairs.map(([whole]) => whole).join('') !== text.trimStart()) return null;
  const plain = (quoted: string) => quoted.replaceAll(/\\(.)/g, '$1');
  return Object.fromEntries(
    pairs.map(([, key, value]) => [plain(key!), value === undefined ? null : plain(value)] as const),
  );
}

/** How hstore is compared: its pairs, in any order. */
export const HSTORE: ValueKind = {
  canonical: (text) => {
    const pairs = pairsOf(text);
    return pairs === null ? null : jsonText(pairs);
  },
  classify: (a, b) => {
    const [x, y] = [pairsOf(a), pairsOf(b)];
    return x === null || y === null ? 'other' : (classifyJson(x, y) ?? 'other');
  },
};
