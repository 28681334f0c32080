import { isLosslessNumber } from 'lossless-json';
import { type ChangeEvent, type ChangeKind, type Row, tableName } from '../event.js';
import { type EventFormat, eventOf, isRecord, jsonOf, type TypesOf, textOf } from './format.js';

/* What Debezium writes in the place of a large value that did not change, and the same in base64. */
const UNAVAILABLE = '__debezium_unavailable_value';
const UNAVAILABLE_BYTES = Buffer.from(UNAVAILABLE).toString('base64');

/* c: create, u: update, d: delete, t: truncate; r is a row of the first snapshot, which no change has made. */
const KINDS: Readonly<Record<string, ChangeKind>> = { c: 'insert', u: 'update', d: 'delete', t: 'truncate' };

/**
 * Debezium's envelope for PostgreSQL as JSON, with or without its schema; tombstones (null) tell of nothing.
 *
 *     {"before":null,"after":{"id":7,"total":"BOI="},"source":{"schema":"public","table":"orders","txId":7421},"op":"u"}
 *
 * Values are read by their semantic type where the schema is there, else by the column's type in the source.
 */
export const DEBEZIUM: EventFormat = {
  name: 'debezium',
  fits: (line) => isTombstone(line) || isEnvelope(isRecord(line['payload']) ? line['payload'] : line),
  splitsKeyUpdates: true,
  begin: (typesOf) => (line) => {
    const payload = isRecord(line['payload']) ? line['payload'] : line;
    const op = KINDS[String(payload['op'])];
    if (op === undefined || !isRecord(payload['source'])) return [];
    return [read(op, payload, payload['source'], fieldsOf(line['schema']), typesOf)];
  },
};

/** A tombstone that is written with a schema has an empty payload. */
function isTombstone(line: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(line).sort().join() === 'payload,schema' && line['payload'] === null;
}

function isEnvelope({ op, source }: Readonly<Record<string, unknown>>): boolean {
  return typeof op === 'string' && op.length === 1 && isRecord(source);
}

/** What the schema says of a column's value. */
interface Field {
  readonly name: string | undefined;
  readonly scale: number | undefined;
}

function read(
  op: ChangeKind,
  payload: Readonly<Record<string, unknown>>,
  source: Readonly<Record<string, unknown>>,
  fields: ReadonlyMap<string, Field>,
  typesOf: TypesOf,
): ChangeEvent {
  const event = eventOf({
    op,
    schema: textOf(source['schema']) ?? 'public',
    table: textOf(source['table']) ?? '',
    xid: textOf(source['txId']),
  });
  const types = typesOf(tableName(event)) ?? {};
  const row = (value: unknown): Row | null =>
    isRecord(value)
      ? Object.fromEntries(
          Object.entries(value)
            .filter(([, each]) => !isUnavailable(each))
            .map(([name, each]) => [name, valueText(each, fields.get(name), types[name] ?? '')]),
        )
      : null;
  const { before, after } = payload;
  const unchanged = isRecord(after) ? Object.keys(after).filter((name) => isUnavailable(after[name])) : [];
  const old = row(before);
  return { ...event, old, key: op === 'insert' ? null : old, new: op === 'delete' ? null : row(after), unchanged };
}

function isUnavailable(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 1 && isUnavailable(value[0]);
  return value === UNAVAILABLE || value === UNAVAILABLE_BYTES;
}

function fieldsOf(schema: unknown): Map<string, Field> {
  const fields = isRecord(schema) && Array.isArray(schema['fields']) ? schema['fields'].filter(isRecord) : [];
  const row = fields.find(({ field }) => field === 'after') ?? fields.find(({ field }) => field === 'before');
  const columns = Array.isArray(row?.['fields']) ? row['fields'].filter(isRecord) : [];
  return new Map(
    columns.map(({ field, name, parameters }) => {
      const scale = isRecord(parameters) ? Number(textOf(parameters['scale']) ?? Number.NaN) : Number.NaN;
      return [String(field), { name: textOf(name) ?? undefined, scale: Number.isNaN(scale) ? undefined : scale }];
    }),
  );
}

/** A value as PostgreSQL's text. `type` is the column's type in the source. */
function valueText(value: unknown, field: Field | undefined, type: string): string | null {
  if (value === null || value === undefined) return null;
  const semantic = field?.name ?? '';
  if (typeof value === 'boolean' && type.startsWith('bit')) return value ? '1' : '0';
  if (isLosslessNumber(value)) return numberOf(value.value, semantic, type);
  if (isRecord(value) && 'scale' in value && 'value' in value)
    return decimalOf(String(value['value']), Number(textOf(value['scale'])));
  if (isRecord(value) && 'x' in value && 'y' in value && type === 'point')
    return `(${textOf(value['x'])},${textOf(value['y'])})`;
  if (typeof value === 'string') return stringOf(value, field, type);
  if (Array.isArray(value) && type.endsWith('[]')) return arrayText(value, type.slice(0, -2));
  return Array.isArray(value) || isRecord(value) ? jsonOf(value) : textOf(value);
}

function arrayText(elements: readonly unknown[], type: string): string {
  const texts = elements.map((each) => {
    if (Array.isArray(each)) return arrayText(each, type);
    const text = valueText(each, undefined, type);
    return text === null ? 'NULL' : JSON.stringify(text);
  });
  return `{${texts.join(',')}}`;
}

function stringOf(text: string, field: Field | undefined, type: string): string {
  const scale = field?.scale ?? scaleOf(type);
  const isNamed = field?.name === 'org.apache.kafka.connect.data.Decimal';
  // A number as text has its point where the column has digits behind it; base64 has none.
  const isNumber = (scale ?? 0) > 0 ? text.includes('.') || text === 'NaN' : /^-?\d+$|^NaN$/.test(text);
  if (/^(numeric|money)/.test(type) && scale !== undefined && (isNamed || (field?.name === undefined && !isNumber)))
    return decimalOf(text, scale);
  if (type === 'bytea' && !text.startsWith('\\x')) return `\\x${Buffer.from(text, 'base64').toString('hex')}`;
  const bits = /^bit(?: varying)?(?:\((\d+)\))?$/.exec(type);
  if (bits !== null && !/^[01]*$/.test(text)) return bitsOf(text, Number(bits[1] ?? 0));
  return text;
}

/** Times as numbers: in microseconds, or in milliseconds where the column has at most three digits of seconds. */
function numberOf(text: string, semantic: string, type: string): string {
  if (!/^-?\d+$/.test(text)) return text;
  const number = BigInt(text);
  const digits = /\((\d)\)/.exec(type)?.[1];
  const isMillis = semantic === '' ? digits !== undefined && Number(digits) <= 3 : /\.(Timestamp|Time)$/.test(semantic);
  const isNanos = /\.Nano(Timestamp|Time)$/.test(semantic);
  const micros = isNanos ? number / 1000n : isMillis ? number * 1000n : number;
  if (type === 'date') return dayText(number);
  if (/^timestamp/.test(type)) return `${dayText(floorDivide(micros, DAY))} ${clockText(modulo(micros, DAY))}`;
  if (/^time/.test(type)) return clockText(micros);
  if (/^interval/.test(type)) return `${number} microseconds`;
  return text;
}

const DAY = 86_400_000_000n;

function floorDivide(value: bigint, by: bigint): bigint {
  return (value - modulo(value, by)) / by;
}

function modulo(value: bigint, by: bigint): bigint {
  return ((value % by) + by) % by;
}

/** Days since 1970, as a date. */
function dayText(days: bigint): string {
  const date = new Date(Number(days) * 86_400_000);
  const year = date.getUTCFullYear();
  const rest = `-${String(date.getUTCMonth() + 1).padStart(2, '0')}-${String(date.getUTCDate()).padStart(2, '0')}`;
  return year > 0 ? `${String(year).padStart(4, '0')}${rest}` : `${String(1 - year).padStart(4, '0')}${rest} BC`;
}

function clockText(micros: bigint): string {
  const seconds = micros / 1_000_000n;
  const two = (value: bigint) => String(value).padStart(2, '0');
  return `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}.${String(micros % 1_000_000n).padStart(6, '0')}`;
}

/** A decimal number from its unscaled bytes (base64, two's complement, big-endian) and its scale. */
function decimalOf(base64: string, scale: number): string {
  const bytes = Buffer.from(base64, 'base64');
  let unscaled = bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`);
  if ((bytes[0] ?? 0) >= 0x80) unscaled -= 1n << BigInt(8 * bytes.length);
  return `${unscaled}e${-scale}`;
}

function scaleOf(type: string): number | undefined {
  if (type === 'money') return 2;
  const match = /^numeric\((\d+)(?:,(-?\d+))?\)/.exec(type);
  return match === null ? undefined : Number(match[2] ?? 0);
}

/** Bits from little-endian bytes in base64. */
function bitsOf(base64: string, length: number): string {
  const bytes = [...Buffer.from(base64, 'base64')].reverse();
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return length === 0 ? bits : bits.slice(-length).padStart(length, '0');
}
