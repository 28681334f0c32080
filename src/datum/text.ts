import type { Stream } from '../random/stream.js';
import type { Pool } from './pool.js';
import type { Sink } from './sink.js';
import type { Writer } from './writer.js';

const SPACE = 32;
const ALPHABET = Buffer.from('abcdefghijklmnopqrstuvwxyz0123456789', 'latin1');

export function putFromPool(pool: Pool, stream: Stream, sink: Sink): void {
  const index = stream.below(pool.size);
  const from = pool.startOf(index);
  sink.put(pool.bytes, from, pool.endOf(index));
}

/** `length` of the given characters, which are ASCII. */
export function codeWriter(length: number, characters: string | undefined): Writer {
  if (characters === undefined) return (stream, sink) => writeCode(stream, sink, length);
  const alphabet = Buffer.from(characters, 'latin1');
  return (stream, sink) => {
    sink.reserve(length + 64);
    for (let i = 0; i < length; i++) sink.byte(alphabet[stream.below(alphabet.length)]!);
  };
}

/** `count` small letters and digits. */
function writeCode(stream: Stream, sink: Sink, count: number): void {
  sink.reserve(count + 64);
  for (let i = 0; i < count; i++) sink.byte(ALPHABET[stream.below(36)]!);
}

/**
 * Pads a value that began at `mark` to `minBytes` with random letters, which no compression makes small; at most `max`
 * characters in all. Bytes are never fewer than characters, so the limit holds for any text.
 */
function padTo(stream: Stream, sink: Sink, mark: number, minBytes: number, max: number | null): void {
  const written = sink.offset - mark;
  const wanted = max === null ? minBytes : Math.min(minBytes, max);
  if (written >= wanted) return;
  if (written > 0 && wanted - written > 1) sink.byte(SPACE);
  writeCode(stream, sink, wanted - (sink.offset - mark));
}

export function textWriter(pool: Pool, max: number | null, minBytes: number): Writer {
  if (minBytes === 0) return (stream, sink) => putFromPool(pool, stream, sink);
  return (stream, sink) => {
    const mark = sink.offset;
    putFromPool(pool, stream, sink);
    padTo(stream, sink, mark, minBytes, max);
  };
}

/** What makes a pool value unique. `salt` sets runs on the same table apart; it has a fixed length within a run. */
export interface TextSequence {
  readonly max: number | null;
  readonly minBytes: number;
  readonly start: number;
  readonly salt: string;
  readonly email: boolean;
}

/** Unique text: pool value, number, salt; an e-mail address takes the number before its @. The pool's part is cut to fit. */
export function textSequenceWriter(pool: Pool, sequence: TextSequence): Writer {
  const { max, minBytes, start, salt, email } = sequence;
  return (stream, sink, ordinal) => {
    const index = stream.below(pool.size);
    const from = pool.startOf(index);
    const to = pool.endOf(index);
    const mark = sink.offset;
    const number = start + ordinal;
    const at = email ? placeOfAt(pool.bytes, from, to) : -1;
    const room = max === null ? Number.POSITIVE_INFINITY : max - 1 - salt.length - decimalLength(number);
    if (at > 0 && to - from <= room) {
      sink.put(pool.bytes, from, from + at);
      sink.byte(46);
      sink.digits(number);
      sink.ascii(salt);
      sink.put(pool.bytes, from + at, to);
    } else {
      sink.put(pool.bytes, from, room < to - from ? cutAtCharacter(pool.bytes, from, from + Math.max(0, room)) : to);
      sink.byte(45);
      sink.digits(number);
      sink.ascii(salt);
    }
    // Padding is random but comes behind a space, so the number still tells two values apart.
    if (minBytes > 0) padTo(stream, sink, mark, minBytes, max);
  };
}

/** Where the first @ stands, counted from `from`; −1 without one. A loop: a view of the bytes costs more than looking at them. */
function placeOfAt(bytes: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) if (bytes[at] === 64) return at - from;
  return -1;
}

/** The end of the last whole UTF-8 character at or before `to`, within a value that begins at `from` and goes beyond it. */
function cutAtCharacter(bytes: Uint8Array, from: number, to: number): number {
  let end = to;
  while (end > from && (bytes[end]! & 0xc0) === 0x80) end--;
  return end;
}

function decimalLength(value: number): number {
  let length = 1;
  for (let bound = 10; value >= bound && length < 16; bound *= 10) length++;
  return length;
}

/** A number in base 36, padded with zeros to `width` characters. */
export function codeSequenceWriter(width: number, start: number): Writer {
  return (_stream, sink, ordinal) => {
    const text = (start + ordinal).toString(36);
    sink.ascii(text.padStart(width, '0'));
  };
}

export function bytesWriter(minBytes: number, exact: number | undefined): Writer {
  return (stream, sink) => {
    const count = exact ?? Math.max(minBytes, stream.below(65));
    sink.reserve(count * 2 + 64);
    sink.byte(92);
    sink.byte(120);
    for (let left = count; left > 0; left -= 4) sink.hex(stream.next(), Math.min(8, left * 2));
  };
}

/** {"n": number, …}: a number of its own in front of a ready tail. */
export function jsonWriter(tail: Pool, minBytes: number): Writer {
  return (stream, sink) => {
    const mark = sink.offset;
    sink.ascii('{"n":');
    sink.digits(stream.below(1_000_000));
    sink.byte(44);
    if (minBytes > 0) {
      sink.ascii('"padding":"');
      writeCode(stream, sink, Math.max(0, minBytes - (sink.offset - mark)));
      sink.ascii('",');
    }
    putFromPool(tail, stream, sink);
  };
}

export function tsvectorWriter(pool: Pool, minBytes: number): Writer {
  return (stream, sink) => {
    const mark = sink.offset;
    putFromPool(pool, stream, sink);
    // Lexemes are stored once each and at most 2 kB long: many different short ones make it large.
    while (sink.offset - mark < minBytes) {
      sink.byte(SPACE);
      writeCode(stream, sink, 12);
    }
  };
}

/** Parts of a template: fixed text, a faker pool, or the ordinal. */
export type TemplatePart =
  | { readonly kind: 'fixed'; readonly text: string }
  | { readonly kind: 'pool'; readonly pool: Pool }
  | { readonly kind: 'ordinal' };

/** `max` counts characters; what is longer is cut. */
export function templateWriter(parts: readonly TemplatePart[], max: number | null): Writer {
  return (stream, sink, ordinal) => {
    const mark = sink.offset;
    for (const part of parts) {
      if (part.kind === 'fixed') sink.text(part.text);
      else if (part.kind === 'pool') putFromPool(part.pool, stream, sink);
      else sink.digits(ordinal);
    }
    if (max !== null) cutToCharacters(sink, mark, max);
  };
}

function cutToCharacters(sink: Sink, mark: number, max: number): void {
  let characters = 0;
  for (let at = mark; at < sink.offset; at++) {
    if ((sink.bytes[at]! & 0xc0) !== 0x80) {
      characters++;
      if (characters > max) {
        sink.offset = at;
        return;
      }
    }
  }
}
