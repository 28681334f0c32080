import type { Choice, OperationKind } from '../../plan/plan.js';

/* Draws that wait are looked at from the longest waiting on, so many at a time. */
const LOOKED_AT = 4;
/* Of a lane's operations, how many may be done ahead of their turn without being repaid yet. */
const MOST_AHEAD = 0.1;

/**
 * INSERTs that were done ahead of their turn, because what was drawn lacked rows of theirs. What was drawn waits, and is
 * done when the INSERT that took its place is drawn: so parents come first, and the mix stays what the weights say.
 */
export class Ahead {
  /** By relation: INSERTs done ahead of their turn and not repaid yet. */
  private readonly counts: Int32Array;
  /** Draws that gave up their turn, the longest waiting first. */
  private readonly waiting: Choice[] = [];
  private readonly most: number;

  /** `quota`: the lane's operations, −1 where there is no limit; `relations`: how many there are. */
  constructor(relations: number, quota: number) {
    this.counts = new Int32Array(relations);
    this.most = quota < 0 ? relations : Math.max(1, Math.floor(quota * MOST_AHEAD));
  }

  /** True while a further draw may give up its turn. */
  get hasRoom(): boolean {
    return this.waiting.length < this.most;
  }

  /** A draw has given its turn to an INSERT on a relation. */
  lend(choice: Choice, relation: number): void {
    this.waiting.push(choice);
    this.counts[relation]!++;
  }

  /** What may take the turn of an INSERT drawn on a relation; empty where it took none before. */
  candidates(relation: number): readonly Choice[] {
    return this.counts[relation]! > 0 ? this.waiting.slice(0, LOOKED_AT) : NOBODY;
  }

  /** A draw that waited took the turn of an INSERT on a relation. */
  repay(choice: Choice, relation: number): void {
    this.waiting.splice(this.waiting.indexOf(choice), 1);
    this.counts[relation]!--;
  }

  /** An operation on a relation has been set aside: what waits for it waits no longer. */
  giveUp(relation: number, kind: OperationKind): void {
    const left = this.waiting.filter((choice) => choice.relation !== relation || choice.operation !== kind);
    this.waiting.splice(0, this.waiting.length, ...left);
  }

  /** The turn of an INSERT on one relation went to one on another, which brings what waits nearer. */
  pass(from: number, to: number): void {
    this.counts[from]!--;
    this.counts[to]!++;
  }
}

const NOBODY: readonly Choice[] = [];
