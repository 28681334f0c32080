const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const PART = /(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)/g;

/** Milliseconds of `500ms`, `10s`, `1.5m`, `2m30s`, `72h`, `3d`, or of a bare number of seconds; undefined for anything else. */
export function parseDurationMs(value: string | number): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value * 1000 : undefined;
  const text = value.trim();
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const parts = [...text.matchAll(PART)];
  // Nothing but parts, and each unit once: 1s1s is a slip.
  const isWhole = parts.length > 0 && text.replaceAll(PART, '').trim() === '';
  const units = new Set(parts.map(([, , unit]) => unit));
  if (!isWhole || units.size < parts.length) return undefined;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * MILLISECONDS[unit!]!, 0);
}
