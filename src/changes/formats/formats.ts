import { parse as parseLossless } from 'lossless-json';
import { SetupError } from '../../config/problem.js';
import type { ChangeEvent } from '../event.js';
import type { NumberedLine } from '../lines.js';
import { DEBEZIUM } from './debezium.js';
import { type EventFormat, isRecord, type TypesOf } from './format.js';
import { OWN } from './own.js';
import { WAL2JSON_1, WAL2JSON_2 } from './wal2json.js';

/** The formats of consumers' files, the likeliest first. */
const FORMATS: readonly EventFormat[] = [OWN, DEBEZIUM, WAL2JSON_2, WAL2JSON_1];
export const FORMAT_NAMES: readonly string[] = FORMATS.map(({ name }) => name);

/** Events of a file in whatever format, each with its line. */
export class EventFile {
  /** The format, as named or found out; null while no line has been read. */
  format: EventFormat | null;
  /** A last line that was cut off; it is left out. */
  tornLine: number | null = null;
  private readonly file: string;
  private readonly lines: AsyncIterable<NumberedLine>;
  private readonly typesOf: TypesOf;

  /** `format`: its name; undefined: it is found out by the first line. */
  constructor(file: string, lines: AsyncIterable<NumberedLine>, typesOf: TypesOf, format?: string) {
    this.file = file;
    this.lines = lines;
    this.typesOf = typesOf;
    this.format = FORMATS.find(({ name }) => name === format) ?? null;
  }

  /** @throws SetupError with the line that is not understood. */
  async *events(): AsyncGenerator<{ readonly event: ChangeEvent; readonly line: number }> {
    let read: ((line: Readonly<Record<string, unknown>>) => readonly ChangeEvent[]) | null = null;
    for await (const line of this.lines) {
      if (line.text.trim() === '') continue;
      const parsed = this.parse(line);
      // A tombstone.
      if (parsed === null) continue;
      if (read === null) {
        this.format ??= FORMATS.find(({ fits }) => fits(parsed)) ?? null;
        if (this.format === null)
          throw SetupError.of(
            `${this.file}:${line.number}`,
            `the format of this line is unknown; known formats are ${FORMAT_NAMES.join(', ')}; --map COMMAND can convert any other`,
          );
        read = this.format.begin(this.typesOf);
      }
      yield* this.eventsOf(line, parsed, read);
    }
  }

  private *eventsOf(
    { number }: NumberedLine,
    parsed: Readonly<Record<string, unknown>>,
    read: (line: Readonly<Record<string, unknown>>) => readonly ChangeEvent[],
  ): Generator<{ readonly event: ChangeEvent; readonly line: number }> {
    let events: readonly ChangeEvent[];
    try {
      events = read(parsed);
    } catch (error) {
      throw SetupError.of(`${this.file}:${number}`, (error as Error).message);
    }
    for (const event of events) yield { event, line: number };
  }

  private parse({ text, number, isTorn }: NumberedLine): Readonly<Record<string, unknown>> | null {
    try {
      const parsed: unknown = JSON.parse(number === 1 ? text.replace(/^\ufeff/, '') : text);
      if (parsed === null) return null;
      if (!isRecord(parsed)) throw new Error('not an object');
      // Where all values are texts no number can lose digits; reading them with care takes ten times as long.
      const isPlain = OWN.fits(parsed) && ![parsed['new'], parsed['key'], parsed['old']].some(holdsNumbers);
      const careful: unknown = isPlain ? parsed : parseLossless(text);
      if (isRecord(careful)) return careful;
      throw new Error('not an object');
    } catch (error) {
      if (isTorn) {
        this.tornLine = number;
        return null;
      }
      throw SetupError.of(`${this.file}:${number}`, `is not a JSON object (${(error as Error).message})`);
    }
  }
}

function holdsNumbers(row: unknown): boolean {
  if (!isRecord(row)) return false;
  for (const name in row) if (row[name] !== null && typeof row[name] !== 'string') return true;
  return false;
}
