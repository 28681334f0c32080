import type { BindSink } from '../../datum/sink.js';

/** Statement names have a fixed length, so that a session can write its own over them. */
export const STATEMENT_NAME_LENGTH = 16;
const NAME_OFFSET = 6;
const UNNAMED = '0'.repeat(STATEMENT_NAME_LENGTH);
const EXECUTE = [0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0];

/** Returns where a session writes the statement's name into a Bind message that begins at `from`. */
export function nameOffset(from: number): number {
  return from + NAME_OFFSET;
}

/** Begins a Bind message (PostgreSQL's protocol 3.0, all parameters and results as text); parameters follow. */
export function beginBind(sink: BindSink, parameters: number): number {
  sink.reserve(256);
  const from = sink.offset;
  sink.byte(0x42);
  sink.offset += 4;
  sink.byte(0);
  sink.ascii(UNNAMED);
  sink.byte(0);
  sink.int16(0);
  sink.int16(parameters);
  return from;
}

/** Ends the Bind message that began at `from` and appends its Execute. */
export function endBind(sink: BindSink, from: number): void {
  sink.reserve(64);
  sink.int16(0);
  sink.writeInt32(from + 1, sink.offset - from - 1);
  for (const byte of EXECUTE) sink.byte(byte);
}

/** Appends a Sync: everything since the last one commits or rolls back together. */
export function endSync(sink: BindSink): void {
  sink.reserve(64);
  for (const byte of SYNC) sink.byte(byte);
}

const SYNC = [0x53, 0, 0, 0, 4];

/** Returns the parameters of a statement as texts, null for NULL, for --dry-run, golden transcripts and recovery. */
export function parametersOf(bytes: Buffer, { from }: { readonly from: number }): (string | null)[] {
  let at = from + NAME_OFFSET + STATEMENT_NAME_LENGTH + 1 + 2;
  const count = bytes.readUInt16BE(at);
  at += 2;
  const values: (string | null)[] = [];
  for (let i = 0; i < count; i++) {
    const length = bytes.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : bytes.toString('utf8', at, at + length));
    if (length > 0) at += length;
  }
  return values;
}
