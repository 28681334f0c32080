import type { Row } from '../changes/event.js';
import type { ValueClass } from './value-kind.js';
import { canonicalOf, classOf } from './values.js';

/** One change of one key, as it is in a stream. */
export interface Link {
  /** Which change of the stream it is, from 1. */
  readonly position: number;
  /** A change of the key is the end of one chain and the beginning of another. */
  readonly kind: 'insert' | 'update' | 'delete';
  /** True for a half of an update that changed the key. */
  readonly isHalf: boolean;
  /** False for one of the two links that stand for one change. */
  readonly isCounted: boolean;
  /** True for an update that moved the row to another partition: the server's stream tells of a delete and an insert. */
  readonly isMove: boolean;
  readonly row: Row | null;
  /** Columns whose value the stream did not carry. */
  readonly unchanged: readonly string[];
  /** Where the change was made: `lane:operation`, or a position in the log. */
  readonly origin: string | null;
  /** How many truncates of its table came before; 0 throughout where the streams do not tell of equally many. */
  readonly epoch: number;
}

/** What is promised of a stream. */
export interface Promised {
  readonly delivery: 'exactly-once' | 'at-least-once';
  /** False where changes of one key may come in any order. */
  readonly isOrdered: boolean;
  /** True if a change may be missing when a later change of the same key supersedes it. */
  readonly allowsCompaction: boolean;
  /** An update that changes the key may arrive as a delete and an insert. */
  readonly allowsKeyPairs: boolean;
  /** So may any other update, as where a row moves to another partition. */
  readonly allowsMovePairs: boolean;
}

/** What can be wrong with a change. */
export const EVENT_CLASSES = [
  'lost',
  'doubled',
  'reordered',
  'wrong_kind',
  'wrong_value',
  'unknown_key',
  'unknown_change',
] as const;
export type EventClass = (typeof EVENT_CLASSES)[number];

/** A value that differs. */
export interface ColumnDifference {
  readonly column: string;
  readonly class: ValueClass;
  readonly source: string | null | undefined;
  readonly target: string | null | undefined;
}

/** A change that is not as it should be. */
export interface LinkDifference {
  readonly class: EventClass;
  readonly source: Link | null;
  readonly target: Link | null;
  readonly columns: readonly ColumnDifference[];
}

/** How the changes of one key compare. */
export interface ChainResult {
  readonly matched: number;
  /** Of these, changes with values in other words. */
  readonly representation: number;
  readonly differences: readonly LinkDifference[];
  /** Values that cannot be compared, because one side contained them neither in this change nor in an earlier one. */
  readonly unjudged: number;
  /** Of these, values that the source knows under the key that the row had before. */
  readonly underOldKey: number;
  /** Rows without a key that look like the source's, and of which there are more than it has left. */
  readonly surplus: number;
}

/** What is compared of a table: types by column, in order. */
export type ColumnTypes = ReadonlyMap<string, string>;

/** A change with the row as far as it is known then: values that the stream did not carry come from the change before. */
interface Known {
  readonly link: Link;
  readonly row: ReadonlyMap<string, string | null | undefined> | null;
  /** True since a change of the key: values that did not change with it are in the chain of the key before. */
  readonly hasOldKey: boolean;
}

/** Compares the changes of one key in two streams. `source` is right. */
export function compareChains(
  source: readonly Link[],
  target: readonly Link[],
  types: ColumnTypes,
  promised: Promised,
): ChainResult {
  const known = (links: readonly Link[], isTarget: boolean) => follow(links, types, promised.isOrdered, isTarget);
  return new Comparison(known(source, false), known(target, true), types, promised).result();
}

/**
 * Compares what a key's changes leave with what is there in the end. Of rows without a key only their number is compared:
 * whose they are nobody can tell.
 */
export function compareFinal(
  source: readonly Link[],
  target: readonly Link[],
  types: ColumnTypes,
  isKeyless: boolean,
): ChainResult {
  const nothing = { matched: 0, representation: 0, differences: [], unjudged: 0, underOldKey: 0, surplus: 0 };
  if (isKeyless) {
    const left = source.reduce((sum, { kind }) => sum + (kind === 'delete' ? -1 : 1), 0);
    const lost = Array.from({ length: Math.max(0, left - target.length) }, () =>
      differenceOf('lost', source.at(-1)!, null),
    );
    // They may be others', or from before the run; nobody can tell.
    const more = target.slice(Math.max(0, left)).map((link) => differenceOf('unknown_key', null, link));
    return {
      ...nothing,
      matched: Math.min(Math.max(0, left), target.length),
      differences: [...lost, ...more],
      surplus: source.length === 0 ? 0 : more.length,
    };
  }
  const last = follow(source, types).at(-1);
  const [there, ...more] = follow(target, types);
  // Rows that a target without the key's constraint holds twice.
  if (last !== undefined && last.row !== null && more.length > 0)
    return { ...nothing, differences: more.map(({ link }) => differenceOf('doubled', last.link, link)) };
  if (last === undefined || last.row === null) {
    if (there === undefined) return nothing;
    const found = last === undefined ? 'unknown_key' : 'unknown_change';
    return { ...nothing, differences: [differenceOf(found, last?.link ?? null, there.link)] };
  }
  if (there === undefined) return { ...nothing, differences: [differenceOf('lost', last.link, null)] };
  const columns = [...types].flatMap(([column, type]): ColumnDifference[] => {
    const [a, b] = [last.row!.get(column), there.row!.get(column)];
    const found = a === undefined || b === undefined ? null : classOf(type, a, b);
    return found === null ? [] : [{ column, class: found, source: a, target: b }];
  });
  const wrong = columns.filter((each) => each.class !== 'representation');
  if (wrong.length === 0) return { ...nothing, matched: 1, representation: columns.length > 0 ? 1 : 0 };
  return { ...nothing, differences: [differenceOf('wrong_value', last.link, there.link, wrong)] };
}

function differenceOf(
  found: EventClass,
  source: Link | null,
  target: Link | null,
  columns: readonly ColumnDifference[] = [],
): LinkDifference {
  return { class: found, source, target, columns };
}

/**
 * `isOrdered`: false where the change before is not known. `isTarget`: only what is marked as unchanged is taken from the change
 * before, because a consumer may leave out what is NULL; updates of a history are partial and have no marks.
 */
function follow(links: readonly Link[], types: ColumnTypes, isOrdered = true, isTarget = false): Known[] {
  let state: ReadonlyMap<string, string | null | undefined> = new Map();
  let hasOldKey = false;
  return links.map((link) => {
    const { row } = link;
    if (row === null) {
      state = new Map();
      hasOldKey = false;
      return { link, row: null, hasOldKey };
    }
    if (link.kind === 'insert') hasOldKey = link.isHalf;
    const isFirst = !isOrdered || (link.kind === 'insert' && !link.isHalf);
    const before = isFirst ? new Map<string, undefined>() : state;
    const known = new Map<string, string | null | undefined>();
    // A value that is marked as unchanged may still be in the row, taken from the row before the change.
    for (const column of types.keys()) {
      const isKept = !isTarget || link.unchanged.includes(column);
      known.set(column, Object.hasOwn(row, column) ? row[column] : isKept ? before.get(column) : undefined);
    }
    state = known;
    return { link, row: known, hasOldKey };
  });
}

function tells(row: Row, unchanged: readonly string[], column: string): boolean {
  return Object.hasOwn(row, column) && !unchanged.includes(column);
}

/* A value is looked for at so many places of a chain. */
const MOST_CANDIDATES = 16;

class Comparison {
  private readonly source: readonly Known[];
  private readonly target: readonly Known[];
  private readonly types: ColumnTypes;
  private readonly promised: Promised;
  private readonly differences: LinkDifference[] = [];
  private matched = 0;
  private representation = 0;
  /** Of the pair that is being compared, and of all that matched. */
  private unjudged = 0;
  private unjudgedInAll = 0;
  private underOldKey = 0;
  private columns: string[] = [];
  private readonly contents = new Map<Known, string>();

  constructor(source: readonly Known[], target: readonly Known[], types: ColumnTypes, promised: Promised) {
    this.source = source;
    this.target = target;
    this.types = types;
    this.promised = promised;
  }

  result(): ChainResult {
    const { source, target } = this;
    let from = 0;
    while (from < source.length && from < target.length && this.isSame(source[from]!, target[from]!)) from++;
    for (let index = 0; index < from; index++) this.match(source[index]!, target[index]!);
    if (from < source.length || from < target.length) this.compareRest(source.slice(from), target.slice(from));
    const { matched, representation, differences, unjudgedInAll: unjudged, underOldKey } = this;
    return { matched, representation, differences, unjudged, underOldKey, surplus: 0 };
  }

  private compareRest(source: readonly Known[], target: readonly Known[]): void {
    // What some change does not tell cannot be what changes are told apart by: in a change that comes again it would be
    // taken from another one before it.
    this.columns = [...this.types.keys()].filter((column) =>
      [...source, ...target].every(({ link: { row, unchanged } }) => row === null || tells(row, unchanged, column)),
    );
    const once =
      this.promised.delivery === 'at-least-once' && this.promised.isOrdered
        ? this.withoutRepeats(target, this.source.slice(0, this.source.length - source.length))
        : target;
    const pairs = this.promised.isOrdered ? this.align(source, once) : this.pairUp(source, once);
    let [s, t] = [0, 0];
    const unmatched: Gap[] = [];
    for (const [atSource, atTarget] of [...pairs, [source.length, once.length] as const]) {
      unmatched.push({ source: source.slice(s, atSource), target: once.slice(t, atTarget) });
      if (atSource < source.length) this.match(source[atSource]!, once[atTarget]!);
      [s, t] = [atSource + 1, atTarget + 1];
    }
    this.explain(this.promised.isOrdered ? unmatched : this.rest(source, once, pairs));
  }

  /** What is left of both sides where order does not count. */
  private rest(source: readonly Known[], target: readonly Known[], pairs: readonly Pair[]): Gap[] {
    const taken = [new Set(pairs.map(([s]) => s)), new Set(pairs.map(([, t]) => t))];
    return [
      {
        source: source.filter((_, index) => !taken[0]!.has(index)),
        target: target.filter((_, index) => !taken[1]!.has(index)),
      },
    ];
  }

  /**
   * The target without changes that come again: a change of which nothing newer came in between, and those of a consumer
   * that went back and told everything since then again.
   */
  private withoutRepeats(target: readonly Known[], before: readonly Known[]): readonly Known[] {
    const kept: Known[] = [...before];
    let again: Known[] = [];
    let at = kept.length - 1;
    for (const link of target) {
      const content = this.contentOf(link);
      if (at < kept.length - 1 && this.contentOf(kept[at + 1]!) === content && this.repeats(kept[at + 1]!, link)) {
        again.push(link);
        at++;
        if (at === kept.length - 1) again = [];
        continue;
      }
      const back = lastIndex(kept, at, (each) => this.contentOf(each) === content && this.repeats(each, link));
      if (back >= 0 && !this.isNext(link, kept.length)) {
        again.push(link);
        at = back;
        if (at === kept.length - 1) again = [];
        continue;
      }
      kept.push(...again, link);
      again = [];
      at = kept.length - 1;
    }
    return [...kept, ...again].slice(before.length);
  }

  /** True where a change that comes again says what it said before: of what both tell, nothing differs. */
  private repeats({ link: before }: Known, { link: again }: Known): boolean {
    if (before.kind !== again.kind || before.epoch !== again.epoch) return false;
    if (before.row === null || again.row === null) return before.row === again.row;
    for (const [column, type] of this.types) {
      const isTold = tells(before.row, before.unchanged, column) && tells(again.row, again.unchanged, column);
      const found = isTold ? classOf(type, before.row[column]!, again.row[column]!) : null;
      if (found !== null && found !== 'representation') return false;
    }
    return true;
  }

  /** True for a change that the source contains here as well, although it looks like an earlier one. */
  private isNext(link: Known, place: number): boolean {
    const expected = this.source[place];
    return expected !== undefined && this.isSame(expected, link);
  }

  /** The longest common subsequence: what arrived in order. */
  private align(source: readonly Known[], target: readonly Known[]): Pair[] {
    const places = this.placesIn(source);
    const tails: { readonly source: number; readonly target: number; readonly before: number }[] = [];
    const nodes: typeof tails = [];
    const ends: number[] = [];
    for (const [at, link] of target.entries()) {
      const candidates = nearest(places.get(this.contentOf(link)) ?? [], at);
      for (const place of candidates) {
        // The first tail that this place may take over.
        let [low, high] = [0, ends.length];
        while (low < high) {
          const middle = (low + high) >> 1;
          if (nodes[ends[middle]!]!.source < place) low = middle + 1;
          else high = middle;
        }
        nodes.push({ source: place, target: at, before: low === 0 ? -1 : ends[low - 1]! });
        ends[low] = nodes.length - 1;
      }
    }
    const pairs: Pair[] = [];
    for (let node = ends.at(-1) ?? -1; node >= 0; node = nodes[node]!.before)
      pairs.push([nodes[node]!.source, nodes[node]!.target]);
    return pairs.reverse();
  }

  /** Pairs of equal content, in any order. */
  private pairUp(source: readonly Known[], target: readonly Known[]): Pair[] {
    const places = this.placesIn(source);
    const pairs: Pair[] = [];
    for (const [at, link] of target.entries()) {
      const place = places.get(this.contentOf(link))?.shift();
      if (place !== undefined) pairs.push([place, at]);
    }
    return pairs.sort(([a], [b]) => a - b);
  }

  private placesIn(links: readonly Known[]): Map<string, number[]> {
    const places = new Map<string, number[]>();
    for (const [index, link] of links.entries()) {
      const content = this.contentOf(link);
      const known = places.get(content);
      if (known === undefined) places.set(content, [index]);
      else known.push(index);
    }
    return places;
  }

  /** Says what is wrong with the changes that did not match. */
  private explain(gaps: readonly Gap[]): void {
    const missing = new Map<string, Known[]>();
    for (const { source } of gaps)
      for (const link of source) {
        const content = this.contentOf(link);
        const alike = missing.get(content);
        if (alike === undefined) missing.set(content, [link]);
        else alike.push(link);
      }
    // From the end, where taking one away does not move the others.
    for (const alike of missing.values()) alike.reverse();
    const told = new Set(this.source.map((link) => this.contentOf(link)));
    const moved = new Set<Known>();
    // First those at the wrong place, or that came before: they must not count as wrong values.
    const rests = gaps.map(({ source, target }) => ({
      source,
      target: target.filter((link) => {
        const content = this.contentOf(link);
        const original = missing.get(content)?.pop();
        if (original !== undefined) {
          moved.add(original);
          this.report('reordered', original, link);
          return false;
        }
        if (!told.has(content)) return true;
        // In the place of a delete, it is a delete that became an update.
        if (link.link.kind === 'update' && target.length <= source.length && source.some(isDelete)) return true;
        // Without an order, a change that is made twice looks like one that is repeated.
        if (this.promised.delivery === 'at-least-once' && !this.promised.isOrdered) return false;
        this.report(this.promised.delivery === 'at-least-once' ? 'reordered' : 'doubled', null, link);
        return false;
      }),
    }));
    for (const { source, target } of rests)
      this.explainGap(
        source.filter((link) => !moved.has(link)),
        target,
      );
  }

  private explainGap(source: Known[], target: Known[]): void {
    this.takePairs(source, target);
    const open = new OpenLinks(source);
    let arrived = 0;
    for (const link of target) {
      // The source's change of the same kind; where there is none, the one at its place.
      const original = open.take(link.link.kind);
      if (original === undefined) break;
      arrived++;
      if (!this.isKind(original, link)) this.report('wrong_kind', original, link);
      else if (this.isSame(original, link)) this.match(original, link);
      else this.report('wrong_value', original, link);
    }
    for (const link of open.rest()) if (!this.isSuperseded(link)) this.report('lost', link, null);
    for (const link of target.slice(arrived))
      this.report(this.source.length === 0 ? 'unknown_key' : 'unknown_change', null, link);
  }

  /** True where a change may be missing: it is not the last one, or the last one that arrived left the row in the same state. */
  private isSuperseded(link: Known): boolean {
    if (!this.promised.allowsCompaction) return false;
    const [last, arrived] = [this.source.at(-1)!, this.target.at(-1)];
    return link !== last || (arrived !== undefined && this.isSame(last, arrived));
  }

  /** Updates that arrived as a delete and an insert. */
  private takePairs(source: Known[], target: Known[]): void {
    for (const link of [...source]) {
      if (link.link.kind !== 'update') continue;
      const at = target.findIndex(
        (each, index) => each.link.kind === 'delete' && target[index + 1]?.link.kind === 'insert',
      );
      if (at < 0) return;
      const [, insert] = target.splice(at, 2);
      source.splice(source.indexOf(link), 1);
      const isAllowed = this.promised.allowsMovePairs || link.link.isMove;
      if (isAllowed && this.differencesOf(link, insert!).length === 0) this.match(link, insert!);
      else this.report('wrong_kind', link, insert!);
    }
  }

  /** Counts a change that arrived; of those aligned by what all changes tell the other values may still differ. */
  private match(source: Known, target: Known): void {
    this.unjudged = 0;
    const values = this.valuesOf(source, target);
    this.unjudgedInAll += this.unjudged;
    if (source.hasOldKey) this.underOldKey += this.unjudged;
    if (values.some((each) => each.class !== 'representation')) {
      this.report('wrong_value', source, target);
      return;
    }
    if (source.link.isCounted) this.matched++;
    if (source.link.epoch !== target.link.epoch && this.promised.isOrdered) this.report('reordered', source, target);
    if (values.length > 0) this.representation++;
  }

  private report(found: EventClass, source: Known | null, target: Known | null): void {
    const columns = found === 'wrong_value' ? this.differencesOf(source!, target!) : [];
    this.differences.push({ class: found, source: source?.link ?? null, target: target?.link ?? null, columns });
  }

  /** True for the same change, its values perhaps in other words. */
  private isSame(source: Known, target: Known): boolean {
    return this.isKind(source, target) && this.differencesOf(source, target).length === 0;
  }

  /** True for one of two links that must be reported as an update. */
  private isHalf({ isHalf, isMove }: Link): boolean {
    return isHalf && !isMove && !this.promised.allowsKeyPairs;
  }

  private isKind({ link: a }: Known, { link: b }: Known): boolean {
    return a.kind === b.kind && this.isHalf(a) === this.isHalf(b);
  }

  private differencesOf(source: Known, target: Known): ColumnDifference[] {
    return this.valuesOf(source, target).filter((each) => each.class !== 'representation');
  }

  /** Values whose texts differ. */
  private valuesOf(source: Known, target: Known): ColumnDifference[] {
    if (source.row === null || target.row === null) return [];
    const found: ColumnDifference[] = [];
    for (const [column, type] of this.types) {
      const [a, b] = [source.row.get(column), target.row.get(column)];
      if (a === b) continue;
      const difference = this.difference(source, target, column, type, a, b);
      if (difference !== null) found.push({ column, class: difference, source: a, target: b });
    }
    return found;
  }

  /** How a value differs; null if it does not, or if one side does not contain it. */
  private difference(
    source: Known,
    target: Known,
    column: string,
    type: string,
    a: string | null | undefined,
    b: string | null | undefined,
  ): ValueClass | null {
    const { link: made } = source;
    const { link: arrived } = target;
    const isTold = tells(made.row!, made.unchanged, column);
    const isArrived = tells(arrived.row!, arrived.unchanged, column);
    // What the source's stream carried, every consumer of it was given: to call it unchanged is to lose it.
    if (isTold && arrived.unchanged.includes(column)) return 'other';
    if (a !== undefined && b !== undefined) return classOf(type, a, b);
    // What a stream leaves out as unchanged is large, and so never NULL.
    if (a === undefined) {
      if (isArrived && b === null && made.unchanged.includes(column)) return 'null';
      if (isArrived) this.unjudged++;
      return null;
    }
    // The target leaves out columns that it never contained; what writes JSON may leave out what is NULL.
    if (!arrived.unchanged.includes(column)) return a === null ? 'representation' : 'other';
    this.unjudged++;
    return a === null ? 'null' : null;
  }

  private contentOf(known: Known): string {
    let content = this.contents.get(known);
    if (content === undefined) {
      const { row, link } = known;
      const values =
        row === null
          ? []
          : this.columns.map((column) => {
              const value = row.get(column);
              return value === null || value === undefined ? null : canonicalOf(this.types.get(column)!, value);
            });
      content = JSON.stringify([link.kind, this.isHalf(link), this.promised.isOrdered ? link.epoch : 0, ...values]);
      this.contents.set(known, content);
    }
    return content;
  }
}

/** Changes of the source that wait for one of the target: there may be many of one key. */
class OpenLinks {
  private readonly links: readonly Known[];
  private readonly taken = new Set<Known>();
  /** Where the next one of a kind, or of any kind, may be. */
  private readonly next = new Map<Link['kind'] | null, number>();

  constructor(links: readonly Known[]) {
    this.links = links;
  }

  /** Takes the first one of a kind; if there is none, the first one. */
  take(kind: Link['kind']): Known | undefined {
    const found = this.first(kind) ?? this.first(null);
    if (found !== undefined) this.taken.add(found);
    return found;
  }

  rest(): Known[] {
    return this.links.filter((link) => !this.taken.has(link));
  }

  private first(kind: Link['kind'] | null): Known | undefined {
    let at = this.next.get(kind) ?? 0;
    while (at < this.links.length && !this.fits(this.links[at]!, kind)) at++;
    this.next.set(kind, at);
    return this.links[at];
  }

  private fits(link: Known, kind: Link['kind'] | null): boolean {
    return !this.taken.has(link) && (kind === null || link.link.kind === kind);
  }
}

function isDelete({ link }: Known): boolean {
  return link.kind === 'delete';
}

type Pair = readonly [source: number, target: number];

interface Gap {
  readonly source: Known[];
  readonly target: Known[];
}

/** The places nearest to `at`, in descending order. */
function nearest(places: readonly number[], at: number): readonly number[] {
  if (places.length <= MOST_CANDIDATES) return [...places].reverse();
  const first = places.findIndex((place) => place >= at);
  const from = Math.max(0, (first < 0 ? places.length : first) - MOST_CANDIDATES / 2);
  return places.slice(from, from + MOST_CANDIDATES).reverse();
}

function lastIndex<T>(list: readonly T[], from: number, isIt: (each: T) => boolean): number {
  for (let index = from; index >= 0; index--) if (isIt(list[index]!)) return index;
  return -1;
}
