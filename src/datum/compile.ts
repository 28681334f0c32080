import { indexAt } from '../random/choice.js';
import type { Stream } from '../random/stream.js';
import { cidrWriter, inetWriter, macaddrWriter, uuidWriter } from './network.js';
import { bigintWriter, decimalWriter, floatWriter, integerWriter, moneyWriter, scaledWriter } from './numeric.js';
import type { Pools } from './pool.js';
import { isQuotable, type Recipe } from './recipe.js';
import { sequenceWriter } from './sequence.js';
import { Sink } from './sink.js';
import {
  dateWriter,
  intervalWriter,
  MICROS_PER_DAY,
  timestampWriter,
  timeWriter,
  writeDay,
  writeTimestamp,
} from './temporal.js';
import {
  bytesWriter,
  codeWriter,
  jsonWriter,
  putFromPool,
  type TemplatePart,
  templateWriter,
  textWriter,
  tsvectorWriter,
} from './text.js';
import { POWERS_OF_TEN, type Writer } from './writer.js';

/** The closures of recipes, each made on first use and shared by all columns that have the very same recipe. */
export class Writers {
  private readonly pools: Pools;
  private readonly known = new Map<Recipe, Writer>();

  constructor(pools: Pools) {
    this.pools = pools;
  }

  of(recipe: Recipe): Writer {
    let writer = this.known.get(recipe);
    if (writer === undefined) {
      writer = compile(recipe, this.pools);
      this.known.set(recipe, writer);
    }
    return writer;
  }
}

/** Turns a recipe into one closure; nothing is dispatched on types while running. */
function compile(recipe: Recipe, pools: Pools): Writer {
  switch (recipe.kind) {
    case 'integer':
      return integerWriter(recipe.min, recipe.max, recipe.spread);
    case 'bigint':
      return bigintWriter;
    case 'decimal':
      return decimalWriter(recipe.precision, recipe.scale);
    case 'scaled':
      return scaledWriter(recipe.min, recipe.max, recipe.scale);
    case 'float':
      return floatWriter(recipe.bits);
    case 'money':
      return moneyWriter;
    case 'boolean':
      return (stream, sink) => sink.byte(stream.below(2) === 0 ? 102 : 116);
    case 'text':
      return textWriter(pools.text(recipe.meaning, recipe.max), recipe.max, recipe.minBytes);
    case 'faker': {
      const pool = pools.method(recipe.method, recipe.max);
      return (stream, sink) => putFromPool(pool, stream, sink);
    }
    case 'template':
      return templateWriter(templateParts(recipe.template, pools), recipe.max);
    case 'code':
      return codeWriter(recipe.length, recipe.characters);
    case 'bytes':
      return bytesWriter(recipe.minBytes, recipe.exact);
    case 'date':
      return dateWriter(recipe.range);
    case 'time':
      return timeWriter(recipe.zone);
    case 'timestamp':
      return timestampWriter(recipe.zone, recipe.range);
    case 'interval':
      return intervalWriter;
    case 'json':
      return jsonWriter(pools.jsonTail(), recipe.minBytes);
    case 'inet':
      return inetWriter;
    case 'cidr':
      return cidrWriter;
    case 'macaddr':
      return macaddrWriter;
    case 'uuid':
      return uuidWriter;
    case 'tsvector':
      return tsvectorWriter(pools.tsvector(), recipe.minBytes);
    case 'bits':
      return bitsWriter(recipe.length, recipe.varying);
    case 'choice':
      return choiceWriter(recipe.values, recipe.cumulative);
    case 'null':
      return () => {
        throw new Error('a NULL is written by its frame, never by a recipe');
      };
    case 'mixture':
      return mixtureWriter(recipe.of.map((each) => compile(each, pools)));
    case 'array':
      return arrayWriter(compile(recipe.element, pools), recipe);
    case 'format':
      return formatWriter(recipe.parts.map((part) => (typeof part === 'string' ? part : compile(part, pools))));
    case 'repeat':
      return repeatWriter(compile(recipe.element, pools), recipe);
    case 'jsonText':
      return jsonTextWriter(compile(recipe.of, pools));
    case 'span':
      return spanWriter(recipe.of, recipe.scale);
    case 'row':
      return rowWriter(recipe.fields.map((field) => (field === null ? null : compile(field, pools))));
    case 'sequence':
      return sequenceWriter(recipe.form, recipe.start, pools);
  }
}

function templateParts(template: string, pools: Pools): TemplatePart[] {
  return template.split(/(\{\{[^}]*\}\})/).flatMap((text): TemplatePart[] => {
    const match = /^\{\{\s*([^}]*?)\s*\}\}$/.exec(text);
    if (match === null) return text === '' ? [] : [{ kind: 'fixed', text }];
    return match[1] === 'ordinal' ? [{ kind: 'ordinal' }] : [{ kind: 'pool', pool: pools.method(match[1]!, null) }];
  });
}

function bitsWriter(length: number, varying: boolean): Writer {
  return (stream, sink) => {
    const count = varying ? stream.below(length + 1) : length;
    sink.reserve(count + 64);
    let bits = 0;
    for (let i = 0; i < count; i++) {
      if ((i & 31) === 0) bits = stream.next();
      sink.byte(48 + ((bits >>> (i & 31)) & 1));
    }
  };
}

function choiceWriter(values: readonly string[], cumulative: readonly number[]): Writer {
  const ready = values.map((value) => Buffer.from(value, 'utf8'));
  const uniform = cumulative.every((sum, index) => sum === index + 1);
  return (stream, sink) => {
    const bytes = ready[uniform ? stream.below(ready.length) : indexAt(cumulative, stream.fraction())]!;
    sink.put(bytes, 0, bytes.length);
  };
}

const NULL_ELEMENT_SHARE = 1 / 16;
const MAX_ELEMENTS = 6;
const SCRATCH_BYTES = 256;
const QUOTE = 34;
const BACKSLASH = 92;

function arrayWriter(element: Writer, recipe: Recipe & { kind: 'array' }): Writer {
  const { quote, minBytes } = recipe;
  const isReady = isQuotable(recipe.element);
  const scratch = new Sink(SCRATCH_BYTES);
  const separator = recipe.delimiter.charCodeAt(0);
  // Stored, a boolean takes one byte and every other value of fixed length at least two; texts take what is written.
  const leastElements = quote ? 0 : recipe.element.kind === 'boolean' ? minBytes : Math.ceil(minBytes / 2);
  return (stream: Stream, sink: Sink, ordinal: number) => {
    const mark = sink.offset;
    sink.byte(123);
    const count = stream.below(MAX_ELEMENTS);
    let values = 0;
    for (let index = 0; index < count || values < leastElements || sink.offset - mark < minBytes; index++) {
      sink.reserve(256);
      if (index > 0) sink.byte(separator);
      if (recipe.nulls && stream.chance(NULL_ELEMENT_SHARE)) {
        sink.ascii('NULL');
        continue;
      }
      values++;
      if (!quote) element(stream, sink, ordinal);
      else if (isReady) {
        sink.byte(QUOTE);
        element(stream, sink, ordinal);
        sink.byte(QUOTE);
      } else {
        scratch.clear();
        element(stream, scratch, ordinal);
        putQuoted(scratch, sink);
      }
    }
    sink.byte(125);
  };
}

function putQuoted(scratch: Sink, sink: Sink): void {
  sink.reserve(scratch.offset * 2 + 64);
  sink.byte(QUOTE);
  for (let i = 0; i < scratch.offset; i++) {
    const byte = scratch.bytes[i]!;
    if (byte === QUOTE || byte === BACKSLASH) sink.byte(BACKSLASH);
    sink.byte(byte);
  }
  sink.byte(QUOTE);
}

function mixtureWriter(writers: readonly Writer[]): Writer {
  return (stream, sink, ordinal) => {
    writers[stream.below(writers.length)]!(stream, sink, ordinal);
  };
}

function formatWriter(parts: readonly (string | Writer)[]): Writer {
  return (stream, sink, ordinal) => {
    for (const part of parts) {
      if (typeof part === 'string') sink.text(part);
      else {
        sink.reserve(128);
        part(stream, sink, ordinal);
      }
    }
  };
}

function repeatWriter(element: Writer, { separator, min, max }: Recipe & { kind: 'repeat' }): Writer {
  return (stream, sink, ordinal) => {
    const count = stream.between(min, max);
    for (let index = 0; index < count; index++) {
      if (index > 0) sink.ascii(separator);
      sink.reserve(128);
      element(stream, sink, ordinal);
    }
  };
}

function jsonTextWriter(element: Writer): Writer {
  const scratch = new Sink(SCRATCH_BYTES);
  return (stream, sink, ordinal) => {
    scratch.clear();
    scratch.reserve(SCRATCH_BYTES);
    element(stream, scratch, ordinal);
    const { bytes, offset } = scratch;
    if (bytes.subarray(0, offset).some(isEscapedInJson)) {
      sink.text(JSON.stringify(bytes.toString('utf8', 0, offset)));
      return;
    }
    sink.reserve(offset + 64);
    sink.byte(QUOTE);
    sink.put(bytes, 0, offset);
    sink.byte(QUOTE);
  };
}

function isEscapedInJson(byte: number): boolean {
  return byte < 32 || byte === QUOTE || byte === BACKSLASH;
}

const EMPTY_SHARE = 1 / 32;
const OPEN_SHARE = 1 / 16;
const LONGEST_SPAN = 1000;
const SPAN_DAYS = 9000;

/** Ranges of whole steps: the upper end lies 1 … 1,000 steps above the lower one, so the order is never in question. */
function spanWriter(of: (Recipe & { kind: 'span' })['of'], scale: number): Writer {
  const unit = POWERS_OF_TEN[scale]!;
  const put = (sink: Sink, value: number): void => {
    sink.reserve(128);
    if (of === 'date') writeDay(sink, value);
    else if (of === 'timestamp' || of === 'timestamptz') {
      sink.byte(34);
      writeTimestamp(sink, value * (MICROS_PER_DAY / 24), of === 'timestamptz');
      sink.byte(34);
    } else if (of === 'integer' || scale === 0) sink.signed(value);
    else {
      sink.digits(Math.floor(value / unit));
      sink.byte(46);
      sink.padded(value % unit, scale);
    }
  };
  const most = of === 'date' ? SPAN_DAYS : of === 'timestamp' || of === 'timestamptz' ? SPAN_DAYS * 24 : 1_000_000;
  return (stream, sink) => {
    if (stream.chance(EMPTY_SHARE)) {
      sink.ascii('empty');
      return;
    }
    const low = stream.below(most);
    const high = low + 1 + stream.below(LONGEST_SPAN);
    sink.byte(91);
    if (!stream.chance(OPEN_SHARE)) put(sink, low);
    sink.byte(44);
    if (!stream.chance(OPEN_SHARE)) put(sink, high);
    sink.byte(41);
  };
}

/** (a,"b",) as a record's input function reads it: every field quoted, NULL as nothing. */
function rowWriter(fields: readonly (Writer | null)[]): Writer {
  const scratch = new Sink(SCRATCH_BYTES);
  return (stream, sink, ordinal) => {
    sink.byte(40);
    for (const [index, field] of fields.entries()) {
      if (index > 0) sink.byte(44);
      if (field === null) continue;
      scratch.clear();
      field(stream, scratch, ordinal);
      putQuoted(scratch, sink);
    }
    sink.byte(41);
  };
}
