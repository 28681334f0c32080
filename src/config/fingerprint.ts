import { createHash } from 'node:crypto';

/** A short name for a piece of plain data: equal data, equal name, in whatever order its keys were written. */
export function fingerprint(value: unknown): string {
  const canonical = JSON.stringify(value, (_, entry: unknown) => {
    if (typeof entry === 'bigint') return String(entry);
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return entry;
    const record = entry as Record<string, unknown>;
    return Object.fromEntries(
      Object.keys(record)
        .sort()
        .map((key) => [key, record[key]]),
    );
  });
  return createHash('sha256').update(canonical).digest('hex').slice(0, 16);
}
