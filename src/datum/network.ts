import type { Stream } from '../random/stream.js';
import type { Sink } from './sink.js';
import type { Writer } from './writer.js';

const DOT = 46;
const COLON = 58;
const SLASH = 47;
const DASH = 45;

const IPV6_SHARE = 0.25;

function writeIpv4(sink: Sink, address: number): void {
  sink.digits(address >>> 24);
  sink.byte(DOT);
  sink.digits((address >>> 16) & 255);
  sink.byte(DOT);
  sink.digits((address >>> 8) & 255);
  sink.byte(DOT);
  sink.digits(address & 255);
}

function writeIpv6(stream: Stream, sink: Sink, words: number): void {
  for (let word = 0; word < words; word++) {
    const bits = stream.next();
    if (word > 0) sink.byte(COLON);
    sink.hex(bits >>> 16, 4);
    sink.byte(COLON);
    sink.hex(bits & 0xffff, 4);
  }
}

/** Host addresses of both families, one in four with a netmask. */
export const inetWriter: Writer = (stream, sink) => {
  if (stream.chance(IPV6_SHARE)) {
    writeIpv6(stream, sink, 4);
    if (stream.below(4) === 0) writeMask(sink, 1 + stream.below(128));
  } else {
    writeIpv4(sink, stream.next());
    if (stream.below(4) === 0) writeMask(sink, 1 + stream.below(32));
  }
};

/** Networks: every bit behind the mask is zero, as cidr demands. */
export const cidrWriter: Writer = (stream, sink) => {
  if (stream.chance(IPV6_SHARE)) {
    writeIpv6(stream, sink, 2);
    sink.byte(COLON);
    sink.byte(COLON);
    writeMask(sink, 64);
  } else {
    const length = stream.below(33);
    const address = stream.next();
    writeIpv4(sink, length === 0 ? 0 : ((address >>> (32 - length)) << (32 - length)) >>> 0);
    writeMask(sink, length);
  }
};

function writeMask(sink: Sink, length: number): void {
  sink.byte(SLASH);
  sink.digits(length);
}

export const macaddrWriter: Writer = (stream, sink) => {
  const high = stream.next();
  const low = stream.next();
  for (let i = 0; i < 6; i++) {
    if (i > 0) sink.byte(COLON);
    sink.hex(i < 4 ? (high >>> (24 - i * 8)) & 255 : (low >>> (24 - (i - 4) * 8)) & 255, 2);
  }
};

/** RFC 9562 version 4. */
export const uuidWriter: Writer = (stream, sink) => {
  const a = stream.next();
  const b = stream.next();
  const c = stream.next();
  const d = stream.next();
  sink.hex(a, 8);
  sink.byte(DASH);
  sink.hex(b >>> 16, 4);
  sink.byte(DASH);
  sink.hex((b & 0x0fff) | 0x4000, 4);
  sink.byte(DASH);
  sink.hex(((c >>> 16) & 0x3fff) | 0x8000, 4);
  sink.byte(DASH);
  sink.hex(c & 0xffff, 4);
  sink.hex(d, 8);
};
