import { positionText } from './event.js';

/** One column of a published table, as a relation message describes it. */
interface PublishedColumn {
  readonly name: string;
  /** The name as JSON, with its colon. */
  readonly label: string;
  readonly isIdentity: boolean;
}

/** A published table as it is at this place of the stream. */
export interface PublishedTable {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** d: primary key, i: a unique index, f: the whole row, n: none. */
  readonly identity: string;
  readonly columns: readonly PublishedColumn[];
}

/** A change, without what is known only when its transaction commits. */
export interface DecodedChange {
  readonly kind: 'change';
  /** The transaction or subtransaction that made it, where the transaction is streamed before its end; else 0. */
  readonly xid: number;
  readonly op: 'insert' | 'update' | 'delete' | 'truncate';
  readonly table: PublishedTable;
  /** Members of the event's JSON object, without braces. */
  readonly body: string;
}

/** What a message of the stream says. */
export type Decoded =
  | { readonly kind: 'begin'; readonly commit: string; readonly xid: string; readonly at: string }
  | { readonly kind: 'commit'; readonly end: bigint }
  | { readonly kind: 'streamStart'; readonly xid: number }
  | { readonly kind: 'streamStop' }
  | {
      readonly kind: 'streamCommit';
      readonly xid: number;
      readonly commit: string;
      readonly end: bigint;
      readonly at: string;
    }
  /** `subxid` equals `xid` where the whole transaction was rolled back. */
  | { readonly kind: 'streamAbort'; readonly xid: number; readonly subxid: number }
  | { readonly kind: 'changes'; readonly changes: readonly DecodedChange[] }
  | { readonly kind: 'other' };

const OTHER: Decoded = { kind: 'other' };

/* Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin. */
const EPOCH_MICROS = 946_684_800_000_000n;

/**
 * Decodes PostgreSQL's `pgoutput` messages of protocol versions 1 and 2 (values as text) into the members of change events.
 * Source: "Logical Replication Message Formats" in PostgreSQL's manual.
 */
export class PgOutputDecoder {
  private readonly tables = new Map<number, PublishedTable>();
  private readonly keyOf: (table: PublishedTable) => readonly string[] | null;
  private inStream = false;

  /**
   * `keyOf` names the columns of a table's key: of the primary key where the replica identity is the whole row, null where
   * there is none.
   */
  constructor(keyOf: (table: PublishedTable) => readonly string[] | null) {
    this.keyOf = keyOf;
  }

  /** Forgets a stream that ended in the middle. The server sends the table descriptions again. */
  reset(): void {
    this.tables.clear();
    this.inStream = false;
  }

  /** @throws Error on a message that the protocol does not have. */
  decode(message: Buffer): Decoded {
    const reader = new Reader(message);
    const type = String.fromCharCode(reader.byte());
    // Within a streamed transaction these carry the number of the subtransaction.
    const xid = this.inStream && 'RYIUDTM'.includes(type) ? reader.uint32() : 0;
    switch (type) {
      case 'B': {
        const commit = positionText(reader.uint64());
        const at = timeText(reader.uint64());
        return { kind: 'begin', commit, at, xid: String(reader.uint32()) };
      }
      case 'C':
        reader.skip(9);
        return { kind: 'commit', end: reader.uint64() };
      case 'S':
        this.inStream = true;
        return { kind: 'streamStart', xid: reader.uint32() };
      case 'E':
        this.inStream = false;
        return { kind: 'streamStop' };
      case 'c': {
        const streamed = reader.uint32();
        reader.skip(1);
        const commit = positionText(reader.uint64());
        const end = reader.uint64();
        return { kind: 'streamCommit', xid: streamed, commit, end, at: timeText(reader.uint64()) };
      }
      case 'A':
        return { kind: 'streamAbort', xid: reader.uint32(), subxid: reader.uint32() };
      case 'R':
        this.describe(reader);
        return OTHER;
      case 'I':
      case 'U':
      case 'D':
        return { kind: 'changes', changes: [this.change(type, xid, reader)] };
      case 'T':
        return { kind: 'changes', changes: this.truncation(xid, reader) };
      // Names of types, origins and messages of applications.
      case 'Y':
      case 'O':
      case 'M':
        return OTHER;
      default:
        throw new Error(`the server sent a replication message of unknown type "${type}"`);
    }
  }

  private describe(reader: Reader): void {
    const oid = reader.uint32();
    // pg_catalog's name is empty in the protocol.
    const schema = reader.string() || 'pg_catalog';
    const table = reader.string();
    const identity = String.fromCharCode(reader.byte());
    const columns = Array.from({ length: reader.uint16() }, (): PublishedColumn => {
      const isIdentity = (reader.byte() & 1) === 1;
      const name = reader.string();
      // Its type and the type's modifier.
      reader.skip(8);
      return { name, label: `${JSON.stringify(name)}:`, isIdentity };
    });
    this.tables.set(oid, { oid, schema, table, identity, columns });
  }

  private tableOf(reader: Reader): PublishedTable {
    const oid = reader.uint32();
    const table = this.tables.get(oid);
    if (table === undefined)
      throw new Error(`the server sent a change of the table with OID ${oid} without describing that table first`);
    return table;
  }

  private change(type: 'I' | 'U' | 'D', xid: number, reader: Reader): DecodedChange {
    const table = this.tableOf(reader);
    let mark = String.fromCharCode(reader.byte());
    let before: Values | null = null;
    if (mark === 'K' || mark === 'O') {
      before = reader.values();
      if (type === 'U') mark = String.fromCharCode(reader.byte());
    }
    const after = type === 'D' ? null : reader.values();
    const op = type === 'I' ? 'insert' : type === 'U' ? 'update' : 'delete';
    const key = this.keyText(table, before ?? after!, after);
    const old = before !== null && table.identity === 'f' ? rowText(table, before) : 'null';
    const body = `${head(op, table)},"key":${key},"new":${after === null ? 'null' : rowText(table, after)},"old":${old}${unchangedText(table, after)}`;
    return { kind: 'change', xid, op, table, body };
  }

  /** The row's key before the change. A large key column that did not change stands in the old row alone. */
  private keyText(table: PublishedTable, values: Values, after: Values | null): string {
    const names = this.keyOf(table);
    if (names === null) return 'null';
    const members: string[] = [];
    for (const [index, { name, label }] of table.columns.entries()) {
      if (!names.includes(name)) continue;
      const value = values[index] === undefined ? after?.[index] : values[index];
      members.push(label + valueText(value ?? null));
    }
    return `{${members.join(',')}}`;
  }

  private truncation(xid: number, reader: Reader): DecodedChange[] {
    const count = reader.uint32();
    reader.skip(1);
    return Array.from({ length: count }, () => {
      const table = this.tableOf(reader);
      const body = `${head('truncate', table)},"key":null,"new":null,"old":null`;
      return { kind: 'change', xid, op: 'truncate' as const, table, body };
    });
  }
}

/** By column: its text, null for NULL, undefined where the stream does not carry it. */
type Values = readonly (string | null | undefined)[];

function head(op: string, { schema, table }: PublishedTable): string {
  return `"v":1,"op":"${op}","schema":${JSON.stringify(schema)},"table":${JSON.stringify(table)}`;
}

function rowText({ columns }: PublishedTable, values: Values): string {
  let text = '{';
  for (const [index, { label }] of columns.entries()) {
    const value = values[index];
    if (value !== undefined) text += `${text.length > 1 ? ',' : ''}${label}${valueText(value)}`;
  }
  return `${text}}`;
}

function unchangedText({ columns }: PublishedTable, values: Values | null): string {
  const names = values === null ? [] : columns.filter((_, index) => values[index] === undefined);
  return names.length === 0 ? '' : `,"unchanged":${JSON.stringify(names.map(({ name }) => name))}`;
}

function valueText(value: string | null): string {
  return value === null ? 'null' : JSON.stringify(value);
}

/** A timestamp of the protocol (microseconds since 2000, UTC) in ISO 8601 with microseconds. */
function timeText(sinceEpoch: bigint): string {
  const micros = sinceEpoch + EPOCH_MICROS;
  const seconds = new Date(Number(micros / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(micros % 1_000_000n).padStart(6, '0')}Z`;
}

/** Reads a message from left to right. */
class Reader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  byte(): number {
    return this.bytes.readUInt8(this.at++);
  }

  uint16(): number {
    this.at += 2;
    return this.bytes.readUInt16BE(this.at - 2);
  }

  uint32(): number {
    this.at += 4;
    return this.bytes.readUInt32BE(this.at - 4);
  }

  uint64(): bigint {
    this.at += 8;
    return this.bytes.readBigUInt64BE(this.at - 8);
  }

  skip(bytes: number): void {
    this.at += bytes;
  }

  string(): string {
    const end = this.bytes.indexOf(0, this.at);
    const text = this.bytes.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }

  values(): Values {
    const values: (string | null | undefined)[] = [];
    for (let count = this.uint16(); count > 0; count--) {
      const kind = this.byte();
      if (kind === NULL) values.push(null);
      else if (kind === UNCHANGED) values.push(undefined);
      else {
        const length = this.uint32();
        values.push(this.bytes.toString('utf8', this.at, this.at + length));
        this.at += length;
      }
    }
    return values;
  }
}

const NULL = 'n'.charCodeAt(0);
const UNCHANGED = 'u'.charCodeAt(0);
