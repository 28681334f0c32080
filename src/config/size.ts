const UNITS = ['b', 'kb', 'mb', 'gb', 'tb'];

/** Bytes of `500MB` or `10GB`, units of 1,024 as PostgreSQL has them; undefined for anything else but 0. */
export function parseSizeBytes(value: string | number): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB)?$/i.exec(String(value).trim());
  if (match === null) return undefined;
  const [, number, unit] = match;
  if (unit === undefined) return Number(number) === 0 ? 0 : undefined;
  return Math.round(Number(number) * 1024 ** UNITS.indexOf(unit.toLowerCase()));
}
