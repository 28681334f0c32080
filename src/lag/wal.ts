/** A position in the write-ahead log, in bytes. */
export type Lsn = bigint;

/** Reads PostgreSQL's notation, two halves in hexadecimal: `16/B374D848`. */
export function parseLsn(text: string): Lsn {
  const [high = '0', low = '0'] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** Bytes from one position to another; 0 where the second one is behind, since the two were read one after the other. */
export function bytesBetween(from: Lsn, to: Lsn): number {
  return to > from ? Number(to - from) : 0;
}
