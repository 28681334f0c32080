import type { Choice } from '../plan/plan.js';
import { cumulate, indexAt, permute } from '../random/choice.js';
import { type Seed, split, splitNumber } from '../random/seed.js';
import { Stream } from '../random/stream.js';

const BLOCK = 128;

/**
 * Which table and operation comes next, by weight. Draws are stratified: each block of 128 visits every 128th part of
 * the weights once, in random order, so that the mix of a short run is already right where independent draws would
 * still be percents off.
 */
export class Mix {
  private readonly choices: readonly Choice[];
  private readonly cumulative: readonly number[];
  private readonly seed: Seed;
  private readonly label: Seed;
  private readonly strata = new Uint16Array(BLOCK);
  private readonly stream = new Stream();
  private block = -1;

  constructor(choices: readonly Choice[], laneSeed: Seed) {
    this.choices = choices;
    this.cumulative = cumulate(choices.map((choice) => choice.weight));
    this.seed = split(laneSeed, 'mix');
    this.label = split(this.seed, 'point');
  }

  /** The draw of an operation number; equal for equal numbers. */
  draw(number: number): Choice {
    const block = Math.floor(number / BLOCK);
    if (block !== this.block) {
      this.block = block;
      permute(Stream.of(splitNumber(this.seed, block)), this.strata);
    }
    this.stream.restart(this.seed, this.label, number);
    return this.choices[indexAt(this.cumulative, (this.strata[number % BLOCK]! + this.stream.fraction()) / BLOCK)]!;
  }

  /** The n-th other choice of an operation number, for when the draw is not possible. */
  redraw(number: number, attempt: number): Choice {
    this.stream.restart(this.seed, this.label, number);
    for (let i = 0; i < attempt * 2; i++) this.stream.next();
    return this.choices[indexAt(this.cumulative, this.stream.fraction())]!;
  }

  /** All choices, for a last search in order. */
  get all(): readonly Choice[] {
    return this.choices;
  }
}
