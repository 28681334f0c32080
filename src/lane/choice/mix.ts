import type { Choice } from '../../plan/plan.js';
import { cumulate, indexAt, permute } from '../../random/choice.js';
import { type Seed, split, splitNumber } from '../../random/seed.js';
import { Stream } from '../../random/stream.js';
import { choicesOf, type Share } from './shares.js';

const BLOCK = 128;

/** A lane among all lanes, with the seed that they share. */
export interface Turn {
  readonly seed: Seed;
  readonly lane: number;
  readonly lanes: number;
}

/**
 * Which table and operation comes next, by weight. Draws are stratified: each block of 128 visits every 128th part of
 * the weights once, in random order, so that the mix of a short run is already right where independent draws would
 * still be percents off. Within a part the blocks of all lanes together visit every place evenly (van der Corput's
 * sequence, shifted by chance): where there are more choices than draws in a block, none is left out for long.
 */
export class Mix {
  /** All choices, for a last search in order. */
  readonly all: readonly Choice[];
  private readonly share: Share;
  private readonly common: readonly number[];
  private readonly own: readonly number[];
  private readonly turn: Turn;
  private readonly seed: Seed;
  private readonly label: Seed;
  private readonly shift: Seed;
  private readonly strata = new Uint16Array(BLOCK);
  /** The draws of the block that go to the lane's own tables. */
  private readonly turns = new Uint16Array(BLOCK);
  private readonly stream = new Stream();
  private block = -1;

  constructor(share: Share, laneSeed: Seed, turn: Turn) {
    this.share = share;
    this.all = choicesOf(share);
    this.turn = turn;
    this.common = cumulate(share.common.map((choice) => choice.weight));
    this.own = cumulate(share.own.map((choice) => choice.weight));
    this.seed = split(laneSeed, 'mix');
    this.label = split(this.seed, 'point');
    this.shift = split(turn.seed, 'mix');
  }

  /** Returns the draw of an operation number; equal for equal numbers. */
  draw(number: number): Choice {
    const block = Math.floor(number / BLOCK);
    if (block !== this.block) {
      this.block = block;
      const order = Stream.of(splitNumber(this.seed, block));
      permute(order, this.strata);
      permute(order, this.turns);
    }
    const { common, own, ownPart } = this.share;
    if (ownPart > 0) {
      this.stream.restart(this.seed, this.label, number);
      if (this.turns[number % BLOCK]! + this.stream.fraction() < ownPart * BLOCK)
        return own[indexAt(this.own, this.stream.fraction())]!;
    }
    const stratum = this.strata[number % BLOCK]!;
    this.stream.restart(this.shift, this.shift, stratum);
    const within = radicalInverse(block * this.turn.lanes + this.turn.lane) + this.stream.fraction();
    return common[indexAt(this.common, (stratum + (within % 1)) / BLOCK)]!;
  }

  /** Returns the n-th alternative of an operation number, for a draw that is not possible. */
  redraw(number: number, attempt: number): Choice {
    this.stream.restart(this.seed, this.label, number);
    for (let i = 0; i < attempt * 3; i++) this.stream.next();
    const { common, own, ownPart } = this.share;
    return this.stream.chance(ownPart)
      ? own[indexAt(this.own, this.stream.fraction())]!
      : common[indexAt(this.common, this.stream.fraction())]!;
  }
}

/** Returns the lowest 32 bits mirrored at the binary point: 0, ½, ¼, ¾, ⅛ … Every prefix fills [0, 1) evenly. */
function radicalInverse(index: number): number {
  let bits = index | 0;
  bits = (bits >>> 16) | (bits << 16);
  bits = ((bits & 0x00ff00ff) << 8) | ((bits >>> 8) & 0x00ff00ff);
  bits = ((bits & 0x0f0f0f0f) << 4) | ((bits >>> 4) & 0x0f0f0f0f);
  bits = ((bits & 0x33333333) << 2) | ((bits >>> 2) & 0x33333333);
  bits = ((bits & 0x55555555) << 1) | ((bits >>> 1) & 0x55555555);
  return (bits >>> 0) / 0x1_0000_0000;
}
