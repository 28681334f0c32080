/**
 * Where recipes write: the text of a value as bytes, in PostgreSQL's input syntax. The buffer grows by itself; `open`
 * and `close` frame one value. Writing bytes instead of returning strings saves a string, a values array and a
 * generic serializer per value: measured at half of the client's CPU.
 */
export class Sink {
  bytes: Buffer;
  offset = 0;

  constructor(size = 1 << 16) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  clear(): void {
    this.offset = 0;
  }

  /** Makes room for `count` more bytes. Writers of at most 64 bytes may rely on `open` having made it. */
  reserve(count: number): void {
    if (this.offset + count <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.offset + count + 1024));
    this.bytes.copy(larger, 0, 0, this.offset);
    this.bytes = larger;
  }

  byte(value: number): void {
    this.bytes[this.offset++] = value;
  }

  /** A short text of ASCII characters. */
  ascii(text: string): void {
    this.reserve(text.length + 64);
    const { bytes } = this;
    let at = this.offset;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    this.offset = at;
  }

  /** Any text, as UTF-8. */
  text(text: string): void {
    this.reserve(text.length * 3 + 64);
    this.offset += this.bytes.write(text, this.offset, 'utf8');
  }

  /** Ready bytes, from … to. A loop beats `copy` for short ones. */
  put(source: Uint8Array, from: number, to: number): void {
    this.reserve(to - from + 64);
    const { bytes } = this;
    let at = this.offset;
    if (to - from > LOOPED) {
      bytes.set(source.subarray(from, to), at);
      at += to - from;
    } else {
      for (let i = from; i < to; i++) bytes[at++] = source[i]!;
    }
    this.offset = at;
  }

  /** A non-negative safe integer in decimal. */
  digits(value: number): void {
    let length = 1;
    for (let bound = 10; value >= bound && length < 16; bound *= 10) length++;
    this.padded(value, length);
  }

  /** A whole number of either sign. */
  signed(value: number): void {
    if (value < 0) {
      this.byte(45);
      this.digits(-value);
    } else this.digits(value);
  }

  /** A non-negative safe integer in exactly `width` digits. */
  padded(value: number, width: number): void {
    const { bytes, offset } = this;
    let rest = value;
    let at = offset + width - 1;
    while (rest > 0x7fffffff && at >= offset) {
      const quotient = Math.floor(rest / 10);
      bytes[at--] = 48 + (rest - quotient * 10);
      rest = quotient;
    }
    rest |= 0;
    while (at >= offset) {
      const quotient = (rest / 10) | 0;
      bytes[at--] = 48 + (rest - quotient * 10);
      rest = quotient;
    }
    this.offset = offset + width;
  }

  /** `count` hexadecimal digits of a 32-bit number, the highest first. */
  hex(value: number, count: number): void {
    const { bytes } = this;
    let at = this.offset;
    for (let shift = (count - 1) * 4; shift >= 0; shift -= 4) bytes[at++] = HEX[(value >>> shift) & 15]!;
    this.offset = at;
  }
}

/* Bytes that a loop copies sooner than a view of them is made and copied. */
const LOOPED = 160;

const HEX = Buffer.from('0123456789abcdef', 'latin1');

/** A sink for whole tuples: each value stands in a frame, NULL has a form of its own. */
export abstract class TupleSink extends Sink {
  /** Starts a value and returns its mark. */
  abstract open(): number;
  /** Ends the value that began at a mark; `isPlain`: it holds nothing that a format could have to escape. */
  abstract close(mark: number, isPlain?: boolean): void;
  abstract null(): void;

  /** A whole value at once. */
  value(text: string | null): void {
    if (text === null) {
      this.null();
      return;
    }
    const mark = this.open();
    this.text(text);
    this.close(mark);
  }
}

/** A value's frame in a Bind message: four bytes of length, then the text; −1 for NULL. */
export class BindSink extends TupleSink {
  open(): number {
    this.reserve(256);
    const mark = this.offset;
    this.offset += 4;
    return mark;
  }

  close(mark: number): void {
    this.writeInt32(mark, this.offset - mark - 4);
  }

  null(): void {
    this.reserve(256);
    this.writeInt32(this.offset, -1);
    this.offset += 4;
  }

  int16(value: number): void {
    this.bytes[this.offset++] = value >>> 8;
    this.bytes[this.offset++] = value;
  }

  writeInt32(at: number, value: number): void {
    const { bytes } = this;
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
  }
}

const TAB = 9;
const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const BACKSLASH = 92;

/** COPY's text format: values end with a tab, rows with a line feed, and what would be read as one of them is escaped. */
export class CopySink extends TupleSink {
  open(): number {
    this.reserve(256);
    return this.offset;
  }

  close(mark: number, isPlain = false): void {
    if (!isPlain) {
      const { bytes, offset } = this;
      let escapes = 0;
      for (let at = mark; at < offset; at++) if (isSpecial(bytes[at]!)) escapes++;
      if (escapes > 0) this.escape(mark, escapes);
    }
    this.reserve(1);
    this.bytes[this.offset++] = TAB;
  }

  null(): void {
    this.reserve(256);
    this.bytes[this.offset++] = BACKSLASH;
    this.bytes[this.offset++] = 78;
    this.bytes[this.offset++] = TAB;
  }

  /** Ends the row: the last value's tab becomes a line feed; a row without columns is an empty line. */
  endRow(values: number): void {
    if (values > 0) this.bytes[this.offset - 1] = NEWLINE;
    else {
      this.reserve(1);
      this.bytes[this.offset++] = NEWLINE;
    }
  }

  /** Moves what stands behind each special character one place on, from the end, and puts a backslash before it. */
  private escape(mark: number, escapes: number): void {
    this.reserve(escapes);
    const { bytes } = this;
    let from = this.offset - 1;
    this.offset += escapes;
    let to = this.offset - 1;
    for (; from >= mark; from--) {
      const byte = bytes[from]!;
      if (isSpecial(byte)) {
        bytes[to--] = byte === TAB ? 116 : byte === NEWLINE ? 110 : byte === CARRIAGE_RETURN ? 114 : byte;
        bytes[to--] = BACKSLASH;
      } else bytes[to--] = byte;
    }
  }
}

function isSpecial(byte: number): boolean {
  return byte <= CARRIAGE_RETURN ? byte === TAB || byte === NEWLINE || byte === CARRIAGE_RETURN : byte === BACKSLASH;
}
