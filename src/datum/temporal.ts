import type { Stream } from '../random/stream.js';
import type { DayRange } from './recipe.js';
import type { Sink } from './sink.js';
import type { Writer } from './writer.js';

/* Days and microseconds count from 2000-01-01, PostgreSQL's own epoch. Nothing here reads a clock. */
export const MICROS_PER_DAY = 86_400_000_000;
const MICROS_PER_SECOND = 1_000_000;
export const DAY_YEAR_1 = -730_119; // 0001-01-01
/** 2026-01-01: "now" of the generated world. */
const REFERENCE_DAY = 9_497;
/** 20 years. */
export const USUAL_DAYS = 7_305;
/* Of these so many lie ahead: what expires, what is planned. */
const DAYS_AHEAD = 365;

function drawDay(stream: Stream, range: DayRange): number {
  if (range.kind === 'between') return Math.floor(stream.between(range.minMicros, range.maxMicros) / MICROS_PER_DAY);
  return REFERENCE_DAY + DAYS_AHEAD - stream.below(USUAL_DAYS);
}

/** yyyy-mm-dd of a day between years 1 and 9999 (Howard Hinnant's civil_from_days, integers only). */
export function writeDay(sink: Sink, day: number): void {
  const shifted = day + 730_425; // days since 0000-03-01
  const era = Math.floor(shifted / 146_097);
  const ofEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * ofYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  sink.padded(year, 4);
  sink.byte(45);
  sink.padded(month, 2);
  sink.byte(45);
  sink.padded(ofYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1, 2);
}

/** hh:mm:ss[.ffffff] of microseconds within a day. */
export function writeTime(sink: Sink, micros: number): void {
  const seconds = Math.floor(micros / MICROS_PER_SECOND);
  const fraction = micros - seconds * MICROS_PER_SECOND;
  const minutes = (seconds / 60) | 0;
  sink.padded((minutes / 60) | 0, 2);
  sink.byte(58);
  sink.padded(minutes % 60, 2);
  sink.byte(58);
  sink.padded(seconds % 60, 2);
  if (fraction > 0) {
    sink.byte(46);
    sink.padded(fraction, 6);
  }
}

export function writeTimestamp(sink: Sink, micros: number, zone: boolean): void {
  const day = Math.floor(micros / MICROS_PER_DAY);
  writeDay(sink, day);
  sink.byte(32);
  writeTime(sink, micros - day * MICROS_PER_DAY);
  if (zone) sink.ascii('+00');
}

export function dateWriter(range: DayRange): Writer {
  return (stream, sink) => writeDay(sink, drawDay(stream, range));
}

export function timestampWriter(zone: boolean, range: DayRange): Writer {
  return (stream, sink) => {
    if (range.kind === 'between') writeTimestamp(sink, stream.between(range.minMicros, range.maxMicros), zone);
    else
      writeTimestamp(
        sink,
        drawDay(stream, range) * MICROS_PER_DAY +
          stream.below(86_400) * MICROS_PER_SECOND +
          stream.below(MICROS_PER_SECOND),
        zone,
      );
  };
}

/** Offsets that PostgreSQL takes reach from −15:59 to +15:59. */
export function timeWriter(zone: boolean): Writer {
  return (stream, sink) => {
    writeTime(sink, stream.below(86_400) * MICROS_PER_SECOND + stream.below(MICROS_PER_SECOND));
    if (!zone) return;
    sink.byte(stream.below(2) === 0 ? 43 : 45);
    sink.padded(stream.below(15), 2);
    sink.byte(58);
    sink.padded(stream.below(4) * 15, 2);
  };
}

/** ISO 8601 durations, which every IntervalStyle reads: months, days and microseconds of either sign. */
export const intervalWriter: Writer = (stream, sink) => {
  sink.byte(80);
  const parts = 1 + stream.below(7);
  if ((parts & 1) !== 0) {
    sink.signed(stream.between(-100, 100));
    sink.byte(89);
    sink.signed(stream.between(0, 11));
    sink.byte(77);
  }
  if ((parts & 2) !== 0) {
    sink.signed(stream.between(-1000, 1000));
    sink.byte(68);
  }
  if ((parts & 4) !== 0) {
    sink.byte(84);
    sink.digits(stream.below(1000));
    sink.byte(72);
    sink.digits(stream.below(60));
    sink.byte(77);
    sink.digits(stream.below(60));
    sink.byte(46);
    sink.padded(stream.below(MICROS_PER_SECOND), 6);
    sink.byte(83);
  }
};

/** Microseconds since 2000-01-01 of `2024-01-31` or `2024-01-31 12:00:00[.5]` (UTC); undefined for anything else. */
export function parseMicros(text: string): number | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?)?(?:Z|\+00)?$/.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = ''] = match;
  const back = new Date(0);
  // Not Date.UTC: it takes the years 0 to 99 for 1900 to 1999.
  back.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const date = back.setUTCHours(Number(hour), Number(minute), Number(second));
  if (
    back.getUTCMonth() + 1 !== Number(month) ||
    back.getUTCDate() !== Number(day) ||
    Number(hour) > 23 ||
    Number(minute) > 59
  )
    return undefined;
  return (date - Date.UTC(2000, 0, 1)) * 1000 + Number(fraction.padEnd(6, '0'));
}
