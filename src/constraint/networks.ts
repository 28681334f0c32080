/** Bits and address of a network: 32 bits are IPv4, 128 are IPv6. */
interface Network {
  readonly bits: 32 | 128;
  readonly address: bigint;
  /** Number of leading bits that all its addresses share. */
  readonly prefix: number;
}

/** Returns `count` addresses in a network (`10.0.0.0/8`, `fd00::/8`) and one outside it; none if the text is not a network. */
export function addressesIn(text: string, count: number): string[] {
  const network = parse(text);
  if (network === null) return [];
  const { bits, address, prefix } = network;
  const free = BigInt(bits - prefix);
  const size = 1n << free;
  const base = (address >> free) << free;
  const inside = Array.from({ length: count }, (_, index) => base + spread(BigInt(index + 1), size));
  const beside = base + size < 1n << BigInt(bits) ? base + size + 1n : base - 1n;
  return [...new Set([...inside, beside])].map((each) => write(each, bits));
}

/* Neighbours of a Fibonacci sequence of multiples are far apart, so the addresses fill the network evenly. */
const GOLDEN = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835n;
const FULL = 1n << 128n;

function spread(index: bigint, size: bigint): bigint {
  return size <= 1n ? 0n : (((index * GOLDEN) % FULL) * size) / FULL;
}

function parse(text: string): Network | null {
  const [, host, length] = /^([\da-f.:]+)(?:\/(\d+))?$/i.exec(text) ?? [];
  if (host === undefined) return null;
  const bits = host.includes(':') ? 128 : 32;
  const address = bits === 128 ? parse6(host) : parse4(host);
  const prefix = length === undefined ? bits : Number(length);
  return address === null || prefix > bits ? null : { bits, address, prefix };
}

function parse4(text: string): bigint | null {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) return null;
  return parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

function parse6(text: string): bigint | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const zeros = halves.length === 2 ? 8 - head!.length - tail!.length : 0;
  const groups = [...head!, ...Array<string>(Math.max(0, zeros)).fill('0'), ...(tail ?? [])];
  if (groups.length !== 8 || groups.some((group) => !/^[\da-f]{1,4}$/i.test(group))) return null;
  return groups.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}

function write(address: bigint, bits: 32 | 128): string {
  const parts = bits === 32 ? 4 : 8;
  const each = BigInt(bits / parts);
  const values = Array.from(
    { length: parts },
    (_, at) => (address >> (each * BigInt(parts - 1 - at))) & ((1n << each) - 1n),
  );
  return bits === 32 ? values.join('.') : values.map((value) => value.toString(16)).join(':');
}
