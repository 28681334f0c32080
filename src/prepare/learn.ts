import type { Attribute, Catalog, Relation, Type } from '../catalog/model.js';
import { kindsLookedUp } from '../catalog/names.js';
import { readTriggerText, type TriggerText, withCalled } from '../catalog/trigger-text.js';
import { type Family, matching, patternAsJavaScript } from '../constraint/candidates.js';
import { Writers } from '../datum/compile.js';
import {
  BOOLEAN_FORMATS,
  type Format,
  JSON_FORMATS,
  NUMBER_FORMATS,
  TEXT_FORMATS,
  TIME_FORMATS,
} from '../datum/formats.js';
import { Pools } from '../datum/pool.js';
import type { Recipe } from '../datum/recipe.js';
import { BindSink } from '../datum/sink.js';
import { familyOf } from '../plan/family.js';
import type { Plan } from '../plan/plan.js';
import { seedOf, split } from '../random/seed.js';
import { Stream } from '../random/stream.js';
import type { Lesson } from './lessons.js';
import type { Stage } from './stage.js';
import { type Failure, tryOperation } from './trial.js';

/* The form of constants that a type accepts; others need not be tried. */
const SHAPES: Partial<Readonly<Record<Family, RegExp>>> = {
  integer: /^-?\d+$/,
  number: /^-?\d+(\.\d+)?$/,
  boolean: /^(t|f|true|false|yes|no|on|off|0|1)$/i,
  date: /^\d{4}-\d\d-\d\d/,
  timestamp: /^\d{4}-\d\d-\d\d/,
  json: /^\s*[[{"\d]|^(true|false|null)$/,
};

const CHECK_VIOLATION = '23514';

/* Limits on the trials for one table. */
const MOST_TRIALS = 2000;
const MOST_COLUMNS = 12;
const MOST_CONSTANTS = 60;
const MOST_STEPS = 3;
/* Number of values of a format that are tried in addition to the first. */
const MORE = 5;
const MOST_VALUES = 40;

/** A table whose INSERT was rejected with all ordinary values. */
interface Pupil {
  readonly stage: Stage;
  readonly plan: Plan;
  readonly relation: number;
  readonly catalogRelation: Relation;
  readonly relations: readonly Relation[];
  readonly types: ReadonlyMap<number, Type>;
  readonly failure: Failure;
  /** Relations that its triggers read. */
  readonly read: readonly number[];
  readonly functions: Catalog['functions'];
  readonly names: Catalog['names'];
}

/**
 * Tries a table's columns one after the other with NULL, with the constants that its trigger functions name, with values
 * of the tables that they read, and with formats that people write, until the INSERT passes. A value that
 * leads to another error is kept, and the search continues with the next column. Empty: nothing passed.
 */
export async function learn(pupil: Pupil): Promise<readonly Lesson[]> {
  return await new Learner(pupil).run();
}

class Learner {
  private readonly pupil: Pupil;
  /** Texts of its trigger functions, then of functions that they call. */
  private readonly texts: readonly TriggerText[];
  /** Its only trigger; null if there are several or none. */
  private readonly trigger: string | null;
  /** Kinds of objects that the functions look up by name. */
  private readonly lookedUp: readonly string[];
  private readonly writers = new Writers(new Pools(seedOf(0n)));
  private trials = 0;
  private last: Failure;

  constructor(pupil: Pupil) {
    this.pupil = pupil;
    this.last = pupil.failure;
    const triggers = pupil.catalogRelation.triggers.filter(({ events }) => events.insert);
    this.trigger = triggers.length === 1 ? triggers[0]!.name : null;
    const own = triggers.map(({ source, arguments: given }) =>
      given === ''
        ? source
        : `${source} ${given
            .split(', ')
            .map((each) => `'${each}'`)
            .join(' ')}`,
    );
    const sources = withCalled(own, pupil.functions);
    this.texts = sources.map(readTriggerText);
    this.lookedUp = kindsLookedUp(sources);
  }

  async run(): Promise<readonly Lesson[]> {
    const lessons: Lesson[] = [];
    const given = new Map<number, string | null>();
    for (let step = 0; step < MOST_STEPS; step++) {
      const columns = this.columns().filter((column) => !given.has(column));
      const nulls = await this.tryNulls(columns, given);
      if (nulls !== null) return [...lessons, ...nulls];
      const before = signature(this.last);
      let progress: { readonly lesson: Lesson; readonly column: number; readonly text: string } | null = null;
      // A value that passes is preferred to one that leads to another error.
      for (const column of columns) {
        const found = await this.tryColumn(column, given, before);
        if (found?.isEnough) return [...lessons, found.lesson];
        if (found !== null) progress ??= { ...found, column };
      }
      if (progress === null) return [];
      lessons.push(progress.lesson);
      given.set(progress.column, progress.text);
      // The next step is compared with this error.
      await this.passes(given);
    }
    return [];
  }

  /** Returns columns that may be at fault: those in the message, then those in trigger functions, then the rest. */
  private columns(): number[] {
    const { plan, relation, failure, catalogRelation, types } = this.pupil;
    const { insertColumns, columns } = plan.relations[relation]!;
    // A column that numbers the rows can get another form of distinct values.
    const isText = (at: number) => familyOf(catalogRelation.attributes[at]!.type, types) === 'text';
    const eligible = insertColumns.filter(
      (at) => columns[at]!.source === 'drawn' || (columns[at]!.source === 'ordinal' && isText(at)),
    );
    const mentioned = this.texts.flatMap(({ columns }) => columns);
    const rank = (at: number) => {
      const { name } = columns[at]!;
      if (new RegExp(`\\b${name.replaceAll(/\W/g, '.')}\\b`).test(failure.message)) return 0;
      return mentioned.includes(name) ? 1 : 2;
    };
    return eligible.sort((a, b) => rank(a) - rank(b) || a - b).slice(0, MOST_COLUMNS);
  }

  private async passes(texts: ReadonlyMap<number, string | null>): Promise<boolean> {
    if (this.trials++ >= MOST_TRIALS) return false;
    const { stage, relation } = this.pupil;
    const trial = await tryOperation(stage, {
      relation,
      kind: 'insert',
      keeps: false,
      draws: 1,
      write: (operation, seeds) => stage.rows.insertWith(operation, texts, seeds),
    });
    if (trial.kind === 'refused') this.last = trial.failure;
    return trial.kind === 'passed';
  }

  /** Tries NULL in all columns that allow it, and returns the ones that must be NULL. */
  private async tryNulls(
    columns: readonly number[],
    given: ReadonlyMap<number, string | null>,
  ): Promise<Lesson[] | null> {
    const { attributes } = this.pupil.catalogRelation;
    const own = this.pupil.plan.relations[this.pupil.relation]!.columns;
    let nulls = columns.filter((column) => !attributes[column]!.notNull && own[column]!.source === 'drawn');
    const withNulls = (of: readonly number[]) => new Map([...given, ...of.map((column) => [column, null] as const)]);
    if (nulls.length === 0 || !(await this.passes(withNulls(nulls)))) return null;
    for (const column of nulls) {
      const fewer = nulls.filter((each) => each !== column);
      if (await this.passes(withNulls(fewer))) nulls = fewer;
    }
    return nulls.map((column) => ({ kind: 'null', column, words: `NULL, ${this.learned()}` }));
  }

  private learned(): string {
    return this.trigger === null ? 'learned by trial' : `learned from trigger ${this.trigger}`;
  }

  /** Returns a value that passes, or one that leads to another error. */
  private async tryColumn(
    column: number,
    given: ReadonlyMap<number, string | null>,
    before: string,
  ): Promise<{ readonly lesson: Lesson; readonly text: string; readonly isEnough: boolean } | null> {
    let progress: { lesson: Lesson; text: string } | null = null;
    const attempt = async (text: string): Promise<'passed' | 'other' | 'same'> => {
      if (await this.passes(new Map([...given, [column, text]]))) return 'passed';
      return this.isAnother(before) ? 'other' : 'same';
    };
    for (const candidate of this.candidates(column)) {
      const lesson = (recipe: Recipe): Lesson => ({
        kind: 'recipe',
        column,
        recipe,
        words: `${candidate.words}, ${this.learned()}`,
      });
      const [first, ...others] = candidate.texts;
      const result = first === undefined ? 'same' : await attempt(first);
      if (result === 'same') continue;
      if (result === 'other') {
        progress ??= { lesson: candidate.reference ?? lesson(candidate.recipe ?? choice([first!])), text: first! };
        continue;
      }
      const good = [first!];
      for (const text of others) if ((await attempt(text)) === 'passed') good.push(text);
      if (candidate.reference !== undefined && good.length > others.length / 2)
        return { lesson: candidate.reference, text: first!, isEnough: true };
      const isFormat = candidate.recipe !== undefined && good.length === candidate.texts.length;
      return { lesson: lesson(isFormat ? candidate.recipe : choice(good)), text: first!, isEnough: true };
    }
    return progress === null ? null : { ...progress, isEnough: false };
  }

  /** Returns true if the last error differs from before and is not about the value itself (its type, or a CHECK). */
  private isAnother(before: string): boolean {
    const { sqlstate, context } = this.last;
    const isInput = sqlstate?.startsWith('22') === true && context === null;
    const isOfTable = sqlstate === CHECK_VIOLATION && context === null;
    return sqlstate !== null && !isInput && !isOfTable && signature(this.last) !== before;
  }

  private *candidates(column: number): Generator<Candidate> {
    const { plan, relation, catalogRelation, types } = this.pupil;
    const formats = formatsFor(catalogRelation.attributes[column]!, types);
    if (plan.relations[relation]!.columns[column]!.source === 'ordinal') {
      for (const { name, unique: places } of formats) {
        if (places === undefined) continue;
        const recipe = { kind: 'sequence', form: { kind: 'places', places }, start: 0 } as const;
        yield { words: name, texts: this.sampled({ name, recipe }), recipe };
      }
      return;
    }
    const family = familyOf(catalogRelation.attributes[column]!.type, types);
    yield* this.fromTables(column);
    if (family === 'text') yield* this.fromNames();
    yield* this.fromTexts(family);
    for (const format of formats) yield { words: format.name, texts: this.sampled(format), recipe: format.recipe };
  }

  /** Yields values from rows of the tables that the triggers read. */
  private *fromTables(column: number): Generator<Candidate> {
    const { plan, stage, read, catalogRelation, types, relations } = this.pupil;
    const family = (attribute: Attribute) => {
      const found = familyOf(attribute.type, types);
      return found === 'integer' || found === 'text' ? found : attribute.typeName;
    };
    const wanted = family(catalogRelation.attributes[column]!);
    for (const other of read) {
      const relation = plan.relations[other]!;
      const { live } = stage.store.keyspaces[other]!;
      for (const parentColumn of relation.named) {
        if (live.size === 0 || family(relations[other]!.attributes[parentColumn]!) !== wanted) continue;
        const texts = Array.from({ length: Math.min(MORE, live.size) }, (_, at) =>
          stage.store.namedText(other, live.at(live.size - 1 - at), parentColumn),
        );
        const words = `a value of ${relation.label}.${relation.columns[parentColumn]!.name}`;
        const reference: Lesson = { kind: 'reference', column, parent: other, parentColumn, words };
        yield { words, texts, reference };
      }
    }
  }

  /** Yields names of existing objects of the kinds that the functions look up. */
  private *fromNames(): Generator<Candidate> {
    for (const kind of this.lookedUp) {
      const texts = this.pupil.names.get(kind) ?? [];
      // The first is often the wrong one, for example a role that must not be used, so each begins a choice of its own.
      for (const [at, first] of texts.slice(0, MORE).entries())
        yield { words: `names of existing ${kind}s`, texts: [first, ...texts.slice(at + 1)] };
    }
  }

  /** Yields constants in the texts of trigger functions, and values that match their patterns. */
  private *fromTexts(family: Family): Generator<Candidate> {
    const shape = SHAPES[family];
    for (const text of this.texts) {
      const constants = text.constants.filter((each) => shape?.test(each) ?? true).slice(0, MOST_CONSTANTS);
      for (const [at, first] of constants.entries())
        yield { words: 'constants of its function', texts: [first, ...constants.slice(at + 1, at + MOST_VALUES)] };
      for (const pattern of family === 'text' ? text.patterns : []) {
        const texts = matching(patternAsJavaScript(pattern), MOST_VALUES);
        if (texts.length > 0) yield { words: `texts that match ${pattern}`, texts };
      }
    }
  }

  private sampled({ name, recipe }: Format): string[] {
    const write = this.writers.of(recipe);
    const stream = new Stream();
    const label = split(seedOf(0n), name);
    const sink = new BindSink();
    return Array.from({ length: MORE + 1 }, (_, index) => {
      sink.clear();
      sink.reserve(256);
      stream.restart(label, label, index);
      write(stream, sink, index);
      return sink.bytes.toString('utf8', 0, sink.offset);
    });
  }
}

/** Values to try in a column. The rest is tried only if the first one passes. */
interface Candidate {
  readonly words: string;
  readonly texts: readonly string[];
  /** The recipe that generates more values like these. */
  readonly recipe?: Recipe;
  readonly reference?: Lesson;
}

function choice(values: readonly string[]): Recipe {
  const distinct = [...new Set(values)];
  return { kind: 'choice', values: distinct, cumulative: distinct.map((_, index) => index + 1) };
}

function formatsFor(attribute: Attribute, types: ReadonlyMap<number, Type>): readonly Format[] {
  switch (familyOf(attribute.type, types)) {
    case 'text':
      return TEXT_FORMATS;
    case 'integer':
    case 'number':
      return NUMBER_FORMATS;
    case 'boolean':
      return BOOLEAN_FORMATS;
    case 'date':
    case 'timestamp':
      return TIME_FORMATS;
    case 'json':
      return JSON_FORMATS;
    default:
      return [];
  }
}

/** Returns an error without its values: equal for two rows that were rejected for the same reason. */
function signature({ sqlstate, constraint, message, context }: Failure): string {
  const where = context?.split('\n')[0] ?? '';
  return [sqlstate, constraint, message, where].join(' ').replaceAll(/"[^"]*"|'[^']*'|[\d.]+/g, '#');
}
