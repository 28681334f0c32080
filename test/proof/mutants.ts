import type { Stream } from '../../src/random/stream.js';
import { toDebezium } from './debezium.js';

/** A line of a change file, to be spoiled. */
export interface Line {
  op: string;
  schema: string;
  table: string;
  key: Record<string, string | null> | null;
  new: Record<string, string | null> | null;
  old: Record<string, string | null> | null;
  unchanged?: string[];
  xid: string;
  commit: string;
  seq: number;
  last: boolean;
}

/** Types by column, of a table. */
export type Types = (line: Line) => Readonly<Record<string, string>>;

/** One way to spoil a stream once, or to write it otherwise. */
export interface Mutant {
  readonly name: string;
  /** The class of a change that is wrong, and of its value where that is; null for a harmless way of writing. */
  readonly found: string | null;
  readonly value?: string;
  /** Options of `verify` beside the defaults. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** The consumer's stream; null where the stream has nothing to spoil in this way. */
  readonly apply: (lines: Line[], stream: Stream, types: Types) => (Line | string)[] | null;
}

/** One of the lines that fit. */
function pick(lines: readonly Line[], stream: Stream, fits: (line: Line, at: number) => boolean): number {
  const places = lines.flatMap((line, at) => (fits(line, at) ? [at] : []));
  return places.length === 0 ? -1 : places[stream.below(places.length)]!;
}

const isKeyed = ({ key }: Line) => key !== null;
const chain = ({ schema, table, key }: Line) => `${schema}.${table}${JSON.stringify(key)}`;
const sameChain = (a: Line, b: Line) => isKeyed(a) && chain(a) === chain(b);

function without(lines: readonly Line[], at: number): Line[] {
  return lines.filter((_, index) => index !== at);
}

function drop(name: string, choose: (lines: Line[], stream: Stream) => number, found = 'lost'): Mutant {
  return {
    name,
    found,
    apply: (lines, stream) => {
      const at = choose(lines, stream);
      return at < 0 ? null : without(lines, at);
    },
  };
}

/** A value of some type is replaced; `spoil` gives null for what it leaves as it is. */
function spoilValue(
  name: string,
  value: string,
  fits: (type: string, text: string | null) => boolean,
  spoil: (text: string | null) => string | null | undefined,
): Mutant {
  return {
    name,
    found: 'wrong_value',
    value,
    apply: (lines, stream, types) => {
      const places = lines.flatMap((line, at) =>
        Object.entries(line.new ?? {}).flatMap(([column, text]) => {
          if (Object.keys(line.key ?? {}).includes(column) || line.key === null) return [];
          const spoiled = fits(types(line)[column] ?? '', text) ? spoil(text) : undefined;
          return spoiled === undefined || spoiled === text ? [] : [{ at, column, spoiled }];
        }),
      );
      if (places.length === 0) return null;
      const { at, column, spoiled } = places[stream.below(places.length)]!;
      return lines.map((line, index) => (index === at ? { ...line, new: { ...line.new, [column]: spoiled } } : line));
    },
  };
}

/** All values of some types in other words. */
function reword(
  name: string,
  fits: (type: string) => boolean,
  word: (text: string) => string,
  options?: Mutant['options'],
): Mutant {
  return {
    name,
    found: null,
    ...(options === undefined ? {} : { options }),
    apply: (lines, _, types) => {
      let count = 0;
      const rewritten = lines.map((line) => {
        const row = (values: Line['new']): Line['new'] =>
          values === null
            ? null
            : Object.fromEntries(
                Object.entries(values).map(([column, text]) => {
                  if (text === null || !fits(types(line)[column] ?? '')) return [column, text];
                  const worded = word(text);
                  if (worded !== text) count++;
                  return [column, worded];
                }),
              );
        return { ...line, new: row(line.new) };
      });
      return count === 0 ? null : rewritten;
    },
  };
}

const type = (wanted: RegExp) => (name: string, text: string | null) => wanted.test(name) && text !== null;

/** Lines of a transaction from `at` on. */
function transactionAt(lines: readonly Line[], at: number): [from: number, to: number] {
  const { commit } = lines[at]!;
  let [from, to] = [at, at + 1];
  while (from > 0 && lines[from - 1]!.commit === commit) from--;
  while (to < lines.length && lines[to]!.commit === commit) to++;
  return [from, to];
}

export const SPOILED: readonly Mutant[] = [
  drop('the first change dropped', () => 0),
  drop('the last change dropped', (lines) => lines.length - 1),
  drop('an insert dropped', (lines, stream) => pick(lines, stream, ({ op }) => op === 'insert')),
  drop('an update dropped', (lines, stream) => pick(lines, stream, ({ op }) => op === 'update')),
  drop('a delete dropped', (lines, stream) => pick(lines, stream, ({ op }) => op === 'delete')),
  drop('a truncate ignored', (lines) => lines.findIndex(({ op }) => op === 'truncate')),
  drop('a change of a table without a key dropped', (lines, stream) =>
    pick(lines, stream, ({ table }) => table === 'log'),
  ),
  drop('the last change of a key dropped by a compaction', (lines, stream) =>
    pick(
      lines,
      stream,
      (line, at) =>
        line.op === 'update' &&
        !lines.slice(at + 1).some((later) => sameChain(line, later)) &&
        (line.new?.['id'] ?? '') === (line.key?.['id'] ?? ''),
    ),
  ),
  {
    name: 'an insert doubled',
    found: 'doubled',
    apply: (lines, stream) => {
      const at = pick(lines, stream, ({ op }) => op === 'insert');
      return at < 0 ? null : [...lines.slice(0, at + 1), lines[at]!, ...lines.slice(at + 1)];
    },
  },
  {
    name: 'an update doubled later',
    found: 'doubled',
    apply: (lines, stream) => {
      const at = pick(lines, stream, ({ op }) => op === 'update');
      return at < 0 ? null : [...lines, lines[at]!];
    },
  },
  {
    name: 'a change of a table without a key doubled',
    found: 'doubled',
    apply: (lines, stream) => {
      const at = pick(lines, stream, ({ table, op }) => table === 'log' && op === 'insert');
      return at < 0 ? null : [...lines, lines[at]!];
    },
  },
  {
    name: 'an old update again, although at-least-once is promised',
    found: 'reordered',
    options: { delivery: 'at-least-once', order: 'key' },
    apply: (lines, stream) => {
      const at = pick(
        lines,
        stream,
        (line, place) => line.op === 'update' && lines.slice(place + 1).some((later) => sameChain(line, later)),
      );
      return at < 0 ? null : [...lines, lines[at]!];
    },
  },
  {
    name: 'two changes of a key swapped',
    found: 'reordered',
    apply: (lines, stream) => {
      const next = (at: number) => lines.findIndex((line, index) => index > at && sameChain(line, lines[at]!));
      const at = pick(
        lines,
        stream,
        (line, place) =>
          line.op === 'update' &&
          next(place) > 0 &&
          lines[next(place)]!.op === 'update' &&
          JSON.stringify(lines[next(place)]!.new) !== JSON.stringify(line.new),
      );
      if (at < 0) return null;
      const swapped = [...lines];
      [swapped[at], swapped[next(at)]] = [
        { ...lines[next(at)]!, commit: lines[at]!.commit, xid: lines[at]!.xid },
        { ...lines[at]!, commit: lines[next(at)]!.commit, xid: lines[next(at)]!.xid },
      ];
      return swapped;
    },
  },
  {
    name: 'two transactions swapped',
    found: 'reordered',
    apply: (lines, stream) => {
      const at = pick(lines, stream, (_, place) => transactionAt(lines, place)[1] < lines.length);
      const [from, middle] = transactionAt(lines, at);
      const [, to] = transactionAt(lines, middle);
      return [...lines.slice(0, from), ...lines.slice(middle, to), ...lines.slice(from, middle), ...lines.slice(to)];
    },
  },
  {
    name: 'two changes of different keys swapped in their transaction',
    found: 'reordered',
    apply: (lines, stream) => {
      const isKeyed = (place: number) => lines[place]!.op !== 'truncate' && lines[place]!.key !== null;
      const at = pick(lines, stream, (line, place) => {
        const next = lines[place + 1];
        const isSame = next !== undefined && next.commit === line.commit && next.xid === line.xid;
        return isSame && isKeyed(place) && isKeyed(place + 1) && chainOf(line) !== chainOf(next);
      });
      if (at < 0) return null;
      return [...lines.slice(0, at), lines[at + 1]!, lines[at]!, ...lines.slice(at + 2)];
    },
  },
  {
    name: 'a transaction torn by another one',
    found: 'torn',
    apply: (lines, stream) => {
      const at = pick(lines, stream, (_, place) => {
        const [from, to] = transactionAt(lines, place);
        return to - from > 1 && to < lines.length;
      });
      if (at < 0) return null;
      const [from, middle] = transactionAt(lines, at);
      const [, to] = transactionAt(lines, middle);
      return [
        ...lines.slice(0, from + 1),
        ...lines.slice(middle, to),
        ...lines.slice(from + 1, middle),
        ...lines.slice(to),
      ];
    },
  },
  {
    name: 'a transaction told as a part of the one before it',
    found: 'torn',
    apply: (lines, stream) => {
      // Of tables without a key, nobody can tell which change belongs where.
      const at = pick(
        lines,
        stream,
        (line, place) => place > 0 && line.seq === 1 && line.op !== 'truncate' && line.key !== null,
      );
      if (at < 0) return null;
      const [from, to] = transactionAt(lines, at);
      const before = lines[from - 1]!;
      for (let index = from; index < to; index++) {
        const { xid, commit, seq } = before;
        Object.assign(lines[index]!, { xid, commit, seq: seq + 1 + index - from });
      }
      before.last = false;
      return lines;
    },
  },
  {
    name: 'two changes of different keys swapped between their transactions',
    found: 'torn',
    apply: (lines, stream) => {
      const isPlain = ({ op, key }: Line) => op === 'insert' && key !== null;
      const at = pick(lines, stream, (line, place) => {
        const next = lines[place + 1];
        return isPlain(line) && next !== undefined && isPlain(next) && line.last && next.commit !== line.commit;
      });
      if (at < 0) return null;
      const [a, b] = [lines[at]!, lines[at + 1]!];
      const placeOf = ({ xid, commit, seq, last }: Line) => ({ xid, commit, seq, last });
      const [placeA, placeB] = [placeOf(a), placeOf(b)];
      lines.splice(at, 2, { ...b, ...placeA }, { ...a, ...placeB });
      return lines;
    },
  },
  {
    name: 'half a transaction lost',
    found: 'torn',
    apply: (lines, stream) => {
      const at = pick(lines, stream, (_, place) => {
        const [from, to] = transactionAt(lines, place);
        return to - from > 2;
      });
      if (at < 0) return null;
      const [from, to] = transactionAt(lines, at);
      return [...lines.slice(0, from + 2), ...lines.slice(to)];
    },
  },
  {
    name: 'an update turned into a delete and an insert',
    found: 'wrong_kind',
    apply: (lines, stream) => {
      const at = pick(lines, stream, (line) => isPlainUpdate(line));
      if (at < 0) return null;
      const line = lines[at]!;
      return [
        ...lines.slice(0, at),
        { ...line, op: 'delete', new: null },
        { ...line, op: 'insert' },
        ...lines.slice(at + 1),
      ];
    },
  },
  {
    name: 'a changed key told as a delete and an insert that nobody declared',
    found: 'wrong_kind',
    apply: (lines, stream) => {
      const at = pick(lines, stream, (line) => line.op === 'update' && isKeyed(line) && !isPlainUpdate(line));
      return at < 0 ? null : asPair(lines, at);
    },
  },
  {
    name: 'an insert told as an update',
    found: 'wrong_kind',
    apply: (lines, stream) => {
      const at = pick(lines, stream, (line) => line.op === 'insert' && isKeyed(line));
      return lines.map((line, index) => (index === at ? { ...line, op: 'update' } : line));
    },
  },
  {
    name: 'a delete told as an update',
    found: 'wrong_kind',
    apply: (lines, stream) => {
      const at = pick(lines, stream, (line) => line.op === 'delete' && line.table === 'items');
      if (at < 0) return null;
      const before = lines
        .slice(0, at)
        .findLast(
          (line) =>
            line.new !== null &&
            line.schema === lines[at]!.schema &&
            line.table === 'items' &&
            line.new['id'] === lines[at]!.key!['id'],
        );
      return lines.map((line, index) =>
        index === at ? { ...line, op: 'update', new: before?.new ?? line.key } : line,
      );
    },
  },
  {
    name: 'an unchanged large value turned into NULL',
    found: 'wrong_value',
    value: 'null',
    apply: (lines, stream) => {
      const at = pick(lines, stream, ({ unchanged }) => unchanged?.includes('big') === true);
      return at < 0
        ? null
        : lines.map((line, index) =>
            index === at ? { ...line, unchanged: [], new: { ...line.new, big: null } } : line,
          );
    },
  },
  {
    name: 'an unchanged large value replaced by the one of another row',
    found: 'wrong_value',
    apply: (lines, stream) => {
      const at = pick(
        lines,
        stream,
        (line, place) =>
          line.unchanged?.includes('big') === true &&
          lines.slice(0, place).some((before) => before.op === 'insert' && sameChain(before, line)),
      );
      return at < 0
        ? null
        : lines.map((line, index) =>
            index === at ? { ...line, unchanged: [], new: { ...line.new, big: 'of another row' } } : line,
          );
    },
  },
  {
    name: 'a value of an insert told as unchanged',
    found: 'wrong_value',
    apply: (lines, stream) => {
      const at = pick(lines, stream, ({ op, table }) => op === 'insert' && table === 'items');
      const { name: _, ...row } = lines[at]!.new!;
      return lines.map((line, index) => (index === at ? { ...line, new: row, unchanged: ['name'] } : line));
    },
  },
  {
    name: 'a value that an update wrote told as unchanged',
    found: 'wrong_value',
    apply: (lines, stream) => {
      const at = pick(lines, stream, (line) => isPlainUpdate(line) && line.table === 'items');
      const { price: _, ...row } = lines[at]!.new!;
      return lines.map((line, index) =>
        index === at ? { ...line, new: row, unchanged: [...(line.unchanged ?? []), 'price'] } : line,
      );
    },
  },
  {
    name: 'a delete of another row, where an index is the replica identity',
    found: 'lost',
    options: { order: 'key' },
    apply: (lines) => {
      const at = lines.findIndex(({ op, table }) => op === 'delete' && table === 'tagged');
      const other = lines.find(
        ({ op, table, new: row }) => op === 'insert' && table === 'tagged' && row!['v'] === 'first',
      )!;
      return lines.map((line, index) => (index === at ? { ...line, key: { tag: other.new!['tag']! } } : line));
    },
  },
  {
    name: 'two updates swapped, where an index is the replica identity',
    found: 'reordered',
    options: { order: 'key' },
    apply: (lines) => {
      const at = lines.findIndex(({ op, table }) => op === 'update' && table === 'tagged');
      const next = lines.findIndex((line, index) => index > at && sameChain(line, lines[at]!));
      const swapped = [...lines];
      [swapped[at], swapped[next]] = [lines[next]!, lines[at]!];
      return swapped;
    },
  },
  {
    name: 'a row from before a truncate again behind it, although at-least-once is promised',
    found: 'unknown_change',
    options: { delivery: 'at-least-once', order: 'key' },
    apply: (lines) => {
      const truncate = lines.findIndex(({ op }) => op === 'truncate');
      const before = lines.findIndex(({ op, table }) => op === 'insert' && table === 'basket');
      return [...lines.slice(0, truncate + 1), lines[before]!, ...lines.slice(truncate + 1)];
    },
  },
  {
    name: 'a change told again with another value, although at-least-once is promised',
    found: 'unknown_change',
    options: { delivery: 'at-least-once', order: 'key' },
    apply: (lines, stream) => {
      const at = pick(lines, stream, (line) => isPlainUpdate(line) && line.table === 'items');
      const again = { ...lines[at]!, new: { ...lines[at]!.new, name: 'told again otherwise' } };
      return [...lines.slice(0, at + 1), again, ...lines.slice(at + 1)];
    },
  },
  {
    name: 'transactions under names that nobody has made',
    found: 'torn',
    apply: (lines) =>
      lines.map((line, at) => (at > lines.length / 2 ? { ...line, commit: `7F/${at.toString(16)}` } : line)),
  },
  {
    name: 'a row resurrected after its delete',
    found: 'doubled',
    apply: (lines, stream) => {
      const at = pick(
        lines,
        stream,
        (line, place) =>
          line.op === 'insert' &&
          line.table === 'items' &&
          lines.slice(place + 1).findLast((later) => sameChain(later, line))?.op === 'delete',
      );
      return at < 0 ? null : [...lines, lines[at]!];
    },
  },
  {
    name: 'a row written to a table of the same name in another schema',
    found: 'lost',
    apply: (lines, stream) => {
      const at = pick(lines, stream, ({ table, op }) => table === 'items' && op === 'insert');
      return lines.map((line, index) =>
        index === at ? { ...line, schema: line.schema === 'shop' ? 'other' : 'shop' } : line,
      );
    },
  },
  {
    name: 'a row written to another partition',
    found: 'lost',
    apply: (lines, stream) => {
      const at = pick(
        lines,
        stream,
        ({ table, op, key }) => table === 'orders' && op === 'insert' && key!['region'] !== 'us',
      );
      return at < 0
        ? null
        : lines.map((line, index) =>
            index === at ? { ...line, key: { ...line.key, region: 'us' }, new: { ...line.new, region: 'us' } } : line,
          );
    },
  },
  {
    name: 'a row of a rolled-back savepoint delivered',
    found: 'unknown_key',
    apply: (lines, stream) => {
      const at = pick(lines, stream, ({ table, op }) => table === 'items' && op === 'insert');
      const line = lines[at]!;
      const ghost = { ...line, key: { id: '999999999' }, new: { ...line.new, id: '999999999' } };
      return [...lines.slice(0, at + 1), ghost, ...lines.slice(at + 1)];
    },
  },
  {
    name: 'a change made up',
    found: 'unknown_change',
    apply: (lines, stream) => {
      const at = pick(lines, stream, (line) => isPlainUpdate(line) && line.table === 'items');
      const line = lines[at]!;
      const ghost = { ...line, new: { ...line.new, name: 'nobody wrote this' } };
      return [...lines.slice(0, at + 1), ghost, ...lines.slice(at + 1)];
    },
  },
  {
    name: 'an update with the values of the one before',
    found: 'wrong_value',
    options: { order: 'key' },
    apply: (lines, stream) => {
      const at = pick(lines, stream, (line) => isPlainUpdate(line) && line.new?.['amount'] !== undefined);
      return at < 0
        ? null
        : lines.map((line, index) =>
            index === at ? { ...line, new: { ...line.new, amount: '-77', name: 'stale' } } : line,
          );
    },
  },
  spoilValue('a numeric rounded', 'rounded', type(/^numeric\(/), (text) =>
    /\.\d*[1-9]$/.test(text!) ? text!.slice(0, -2) : undefined,
  ),
  spoilValue('a numeric through a double', 'rounded', type(/^numeric\(/), (text) => String(Number(text) + 1e-9)),
  spoilValue('a numeric changed', 'other', type(/^numeric\(/), (text) => String(Number(text) + 100)),
  spoilValue('a double through a float', 'rounded', type(/^double/), (text) => String(Math.fround(Number(text)))),
  spoilValue('an integer wrapped at 31 bits', 'other', type(/^integer$/), (text) => String(Number(text) - 2 ** 31)),
  spoilValue('a timestamp shifted by an hour', 'shifted', type(/^timestamp with/), (text) =>
    text!.replace(/ (\d\d)/, (_, hour) => ` ${String(Number(hour) + 1).padStart(2, '0')}`),
  ),
  spoilValue('a zone dropped and taken for another one', 'shifted', type(/^timestamp with/), (text) =>
    text!.replace(/\+00$/, '-05'),
  ),
  spoilValue('a timestamp cut to milliseconds', 'rounded', type(/^timestamp/), (text) =>
    text!.replace(/(\.\d{3})\d*[1-9]/, '$1'),
  ),
  spoilValue('a time cut to seconds', 'rounded', type(/^time without/), (text) => text!.replace(/\.\d+/, '')),
  spoilValue('a date a day late', 'other', type(/^date$/), (text) =>
    text!.replace(/(\d)$/, (digit) => String((Number(digit) + 1) % 10)),
  ),
  spoilValue('months made days', 'other', type(/^interval$/), (text) =>
    text!.replace(/(\d+) mons?/, (_, months) => `${Number(months) * 30} days`),
  ),
  spoilValue(
    'a text cut',
    'truncated',
    (name, text) => name.startsWith('character varying') && (text?.length ?? 0) > 300,
    (text) => text!.slice(0, 255),
  ),
  spoilValue(
    'NULL made empty',
    'null',
    (name, text) => name.startsWith('character varying') && text === null,
    () => '',
  ),
  spoilValue(
    'empty made NULL',
    'null',
    (name, text) => name === 'text' && text === '',
    () => null,
  ),
  spoilValue('a value made NULL', 'null', type(/^jsonb$/), () => null),
  spoilValue(
    'an emoji replaced',
    'encoding',
    (_, text) => /[\u{1F000}-\u{1FFFF}]/u.test(text ?? ''),
    (text) => text!.replace(/[\u{1F000}-\u{1FFFF}]/gu, '?'),
  ),
  spoilValue(
    'a text decoded as Latin 1',
    'encoding',
    (name, text) => name === 'text' && /é|ï/.test(text ?? ''),
    (text) => Buffer.from(text!).toString('latin1'),
  ),
  spoilValue(
    'another normal form',
    'encoding',
    (name, text) => name === 'text' && /é|ï/.test(text ?? ''),
    (text) => text!.normalize('NFD'),
  ),
  spoilValue(
    'the case of a text changed',
    'other',
    (name, text) => name === 'text' && /^plain/.test(text ?? ''),
    (text) => text!.toUpperCase(),
  ),
  spoilValue('a number in a document through a double', 'rounded', type(/^jsonb$/), (text) =>
    text!.replace('9007199254740993', '9007199254740992'),
  ),
  spoilValue('a member of a document lost', 'other', type(/^jsonb$/), (text) => text!.replace(/"n": \d+, /, '')),
  spoilValue('bytes given as text', 'encoding', type(/^bytea$/), (text) =>
    Buffer.from(text!.slice(2), 'hex').toString('latin1'),
  ),
  spoilValue('bytes decoded as UTF-8', 'encoding', type(/^bytea$/), (text) =>
    Buffer.from(text!.slice(2), 'hex').toString('utf8'),
  ),
  spoilValue('bytes cut', 'truncated', type(/^bytea$/), (text) => text!.slice(0, -2)),
  spoilValue('an element of an array lost', 'truncated', type(/^text\[\]$/), (text) => text!.replace(/,"x,y"/, '')),
  spoilValue('NULL within an array made empty', 'null', type(/^text\[\]$/), (text) => text!.replace('NULL', '""')),
  spoilValue('a number of an array changed', 'other', type(/^integer\[\]$/), (text) => text!.replace(/3\}$/, '4}')),
  spoilValue('a bit lost', 'truncated', type(/^bit/), (text) => text!.slice(0, -1)),
  spoilValue('a bit flipped', 'other', type(/^bit/), (text) => (text!.startsWith('0') ? '1' : '0') + text!.slice(1)),
  spoilValue('a bound of a range changed', 'other', type(/^int4range$/), (text) => text!.replace(/\)$/, ']')),
  spoilValue('a boolean turned', 'other', type(/^boolean$/), (text) => (text === 't' ? 'f' : 't')),
  spoilValue('another UUID', 'other', type(/^uuid$/), (text) => text!.replace(/^0/, 'f')),
  spoilValue('another label of an enum', 'other', type(/state$/), (text) => (text === 'new' ? 'paid' : 'new')),
  spoilValue('another address', 'other', type(/^inet$/), (text) => text!.replace(/7$/, '8')),
];

function isPlainUpdate({ op, key, new: row }: Line): boolean {
  return op === 'update' && key !== null && Object.entries(key).every(([name, value]) => row?.[name] === value);
}

function asPair(lines: readonly Line[], at: number): Line[] {
  const line = lines[at]!;
  const key = Object.fromEntries(Object.keys(line.key!).map((name) => [name, line.new![name] ?? null]));
  return [
    ...lines.slice(0, at),
    { ...line, op: 'delete', new: null },
    { ...line, op: 'insert', key, unchanged: line.unchanged ?? [] },
    ...lines.slice(at + 1),
  ];
}

const jsonSpaced = (text: string) =>
  JSON.stringify(JSON.parse(text), null, 2).replaceAll('9007199254740992', '9007199254740993');

/** Ways to write the same. */
export const HARMLESS: readonly Mutant[] = [
  { name: 'the stream as it is', found: null, apply: (lines) => lines },
  {
    name: 'partitions named in the place of their table',
    found: null,
    apply: (lines) =>
      lines.map((line) => {
        const region = line.table === 'orders' ? (line.new ?? line.key)?.['region'] : undefined;
        return region === undefined ? line : { ...line, table: region === 'us' ? 'orders_us' : 'orders_eu' };
      }),
  },
  reword(
    'zeros behind numbers',
    (name) => name.startsWith('numeric'),
    (text) => (text.includes('.') ? `${text}00` : `${text}.00`),
  ),
  reword(
    'numbers with an exponent',
    (name) => name.startsWith('numeric'),
    (text) => `${text}e0`,
  ),
  reword(
    'floats with all their digits',
    (name) => name === 'real',
    (text) => String(Math.fround(Number(text))),
  ),
  reword('documents with other spaces', (name) => name === 'jsonb', jsonSpaced),
  reword(
    'documents with members in another order',
    (name) => name === 'jsonb',
    (text) =>
      text
        .replace(/^\{"n": (\d+), (.*)\}$/s, '{$2, "n": $1}')
        .replace(/"id": 9007199254740993, (.*)\}$/s, '$1, "id": 9007199254740993}'),
  ),
  reword(
    'other zeros in documents',
    (name) => name === 'jsonb',
    (text) => text.replace('12.50', '12.5'),
  ),
  reword(
    'moments in another zone',
    (name) => name === 'timestamp with time zone',
    (text) =>
      text.replace(/ (\d\d)(.*)\+00$/, (_, hour, rest) => ` ${String(Number(hour) + 2).padStart(2, '0')}${rest}+02:00`),
  ),
  reword(
    'moments as ISO 8601',
    (name) => name.startsWith('timestamp with'),
    (text) => text.replace(' ', 'T').replace(/\+00$/, 'Z'),
  ),
  reword(
    'moments with zeros',
    (name) => name.startsWith('timestamp'),
    (text) => text.replace(/(\.\d+)/, '$1000'),
  ),
  reword(
    'UUIDs in capitals',
    (name) => name === 'uuid',
    (text) => text.toUpperCase(),
  ),
  reword(
    'booleans as words',
    (name) => name === 'boolean',
    (text) => (text === 't' ? 'true' : 'false'),
  ),
  reword(
    'characters without their padding',
    (name) => name.startsWith('character('),
    (text) => text.trimEnd(),
  ),
  reword(
    'bytes in the escape format',
    (name) => name === 'bytea',
    (text) =>
      [...Buffer.from(text.slice(2), 'hex')]
        .map((byte) =>
          byte === 92
            ? '\\\\'
            : byte < 32 || byte > 126
              ? `\\${byte.toString(8).padStart(3, '0')}`
              : String.fromCharCode(byte),
        )
        .join(''),
  ),
  reword(
    'bytes in base64',
    (name) => name === 'bytea',
    (text) => Buffer.from(text.slice(2), 'hex').toString('base64'),
  ),
  reword(
    'intervals as ISO 8601',
    (name) => name === 'interval',
    (text) => text.replace(/^(\d+) mons? 3 days 04:05:06.789$/, 'P$1M3DT4H5M6.789S'),
  ),
  reword(
    'arrays without bounds',
    (name) => name === 'integer[]',
    (text) => text.replace(/^\[0:2\]=/, ''),
  ),
  reword(
    'arrays as JSON',
    (name) => name === 'integer[]',
    (text) =>
      text
        .replace(/^\[0:2\]=/, '')
        .replace('{', '[')
        .replace('}', ']')
        .replace('NULL', 'null'),
  ),
  reword(
    'addresses with their mask',
    (name) => name === 'inet',
    (text) => `${text}/32`,
  ),
  reword(
    'hardware addresses with dashes',
    (name) => name === 'macaddr',
    (text) => text.replaceAll(':', '-'),
  ),
  reword(
    'keys as numbers with a sign',
    (name) => name === 'integer',
    (text) => `+${text}`,
  ),
  {
    name: 'keys interleaved otherwise, where each key is in order',
    found: null,
    options: { order: 'key' },
    apply: (lines) => [...lines].sort((a, b) => (chainOf(a) < chainOf(b) ? -1 : chainOf(a) > chainOf(b) ? 1 : 0)),
  },
  {
    name: 'changes again at once, where at-least-once is promised',
    found: null,
    options: { delivery: 'at-least-once', order: 'key' },
    apply: (lines) => lines.flatMap((line, at) => (at % 3 === 0 && line.op !== 'truncate' ? [line, line] : [line])),
  },
  {
    name: 'a consumer that went back and told everything since then again',
    found: null,
    options: { delivery: 'at-least-once' },
    apply: (lines, stream) => {
      const [from] = transactionAt(lines, stream.below(lines.length - 40));
      const [, to] = transactionAt(lines, Math.min(lines.length - 1, from + 30));
      return [...lines.slice(0, to), ...lines.slice(from, to), ...lines.slice(to)];
    },
  },
  {
    name: 'a changed key told as a delete and an insert, where that is declared',
    found: null,
    options: { allow: ['key-pairs'] },
    apply: (lines, stream) => {
      const at = pick(lines, stream, (line) => line.op === 'update' && isKeyed(line) && !isPlainUpdate(line));
      return at < 0 ? null : asPair(lines, at);
    },
  },
  {
    name: 'only the last change of each key, where compaction is declared',
    found: null,
    options: { allow: ['compaction'], order: 'key' },
    apply: (lines) =>
      lines.filter(
        (line, at) =>
          !isPlainUpdate(line) ||
          !isPlainUpdate(lines.slice(at + 1).find((later) => sameChain(line, later)) ?? { ...line, op: 'none' }),
      ),
  },
  {
    name: 'without commit, xid and old',
    found: null,
    apply: (lines) =>
      lines.map(({ op, schema, table, key, new: row, unchanged, old }) =>
        JSON.stringify({ v: 1, op, schema, table, key: key ?? old, new: row, unchanged }),
      ),
  },
  reword(
    'documents with spaces, read as they are',
    (name) => name === 'json',
    (text) => text.replaceAll(',', ' ,\n '),
  ),
  {
    name: 'the envelope of Debezium',
    found: null,
    options: { order: 'key' },
    apply: (lines, _, types) => toDebezium(lines, types),
  },
  {
    name: 'changes of a table that the source does not cover',
    found: null,
    apply: (lines) =>
      lines.flatMap((line, at) =>
        at % 20 === 0
          ? [
              line,
              JSON.stringify({
                v: 1,
                op: 'insert',
                schema: 'event_generator',
                table: 'heartbeat',
                key: { run: 'x' },
                new: { run: 'x' },
              }),
            ]
          : [line],
      ),
    options: { order: 'key' },
  },
];

function chainOf(line: Line): string {
  // Changes of a key, and of all rows, keep all changes of their table in one order.
  return line.key === null || line.table === 'items' || line.table === 'basket'
    ? `${line.schema}.${line.table}`
    : chain(line);
}
