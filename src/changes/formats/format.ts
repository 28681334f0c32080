import { isLosslessNumber } from 'lossless-json';
import type { ChangeEvent, Row } from '../event.js';

/** Types by column of a table of the source, `schema.table`; undefined where they are not known. */
export type TypesOf = (table: string) => Readonly<Record<string, string>> | undefined;

/** Reads the events of one way to write them. */
export interface EventFormat {
  readonly name: string;
  /** True where a parsed line looks like it. */
  readonly fits: (line: Readonly<Record<string, unknown>>) => boolean;
  /** True where an update of a key always arrives as a delete and an insert. */
  readonly splitsKeyUpdates: boolean;
  /** Begins a stream. The result gives the events of one parsed line; it may remember what lines before it said. */
  readonly begin: (typesOf: TypesOf) => (line: Readonly<Record<string, unknown>>) => readonly ChangeEvent[];
}

/** An event. Fields that are left out are unknown. */
export function eventOf(known: Pick<ChangeEvent, 'op' | 'schema' | 'table'> & Partial<ChangeEvent>): ChangeEvent {
  return { key: null, new: null, old: null, unchanged: [], xid: null, commit: null, ...known };
}

/** A JSON value as PostgreSQL's text of it; null for null. Numbers keep their digits. */
export function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return value;
  if (isLosslessNumber(value)) return value.value;
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return jsonOf(value);
}

/** A JSON value as JSON, with the digits that its numbers had. */
export function jsonOf(value: unknown): string {
  if (isLosslessNumber(value)) return value.value;
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  return `{${Object.entries(value)
    .map(([name, member]) => `${JSON.stringify(name)}:${jsonOf(member)}`)
    .join(',')}}`;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Values by column, as texts. */
export function rowOf(value: unknown): Row | null {
  if (!isRecord(value)) return null;
  let isText = true;
  for (const name in value) if (typeof value[name] !== 'string' && value[name] !== null) isText = false;
  // A copy of every row would cost more than all else.
  if (isText) return value as Row;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, textOf(each)]));
}
