import type { ValueClass, ValueKind } from './value-kind.js';

/** Every text is a value of its own. */
export const TEXT: ValueKind = { canonical: (text) => text, classify: classifyText };

/** How two different texts differ. */
export function classifyText(a: string, b: string): ValueClass {
  if (isEncoded(a, b) || isEncoded(b, a)) return 'encoding';
  return a.startsWith(b) || b.startsWith(a) ? 'truncated' : 'other';
}

/** True where `b` is what a wrong encoding or another normal form makes of `a`. */
function isEncoded(a: string, b: string): boolean {
  if (a.normalize('NFC') === b.normalize('NFC') || a.normalize('NFKC') === b.normalize('NFKC')) return true;
  if (!/[^\0-\x7f]/.test(a)) return false;
  if (Buffer.from(a, 'utf8').toString('latin1') === b) return true;
  // Characters that had no place in it: each one lost, or replaced by one or more marks.
  const parts = a.split(/[^\0-\x7f]+/u).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[?\\ufffd\\u25a1]*')}$`, 's').test(b) || isReplacedAbove(a, b);
}

/* Above the basic plane: emoji, replaced or lost, while other letters stay. */
function isReplacedAbove(a: string, b: string): boolean {
  if (!/[\u{10000}-\u{10ffff}]/u.test(a)) return false;
  const parts = a.split(/[\u{10000}-\u{10ffff}]+/u).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[?\\ufffd\\u25a1]*')}$`, 'su').test(b);
}
