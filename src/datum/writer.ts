import type { Stream } from '../random/stream.js';
import type { Sink } from './sink.js';

/**
 * A compiled recipe: writes the text of one value. `ordinal` numbers the row within its table over all lanes; only
 * sequences and templates look at it.
 */
export type Writer = (stream: Stream, sink: Sink, ordinal: number) => void;

/** 10⁰ … 10¹⁵. A table, because `**` and Math.pow differ between engine versions. */
export const POWERS_OF_TEN: readonly number[] = [
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];
