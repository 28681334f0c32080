import type { Choice, OperationKind } from '../../plan/plan.js';

/* So many waiting draws are looked at, beginning with the one that has waited longest. */
const LOOKED_AT = 4;
/* The maximum share of a lane's operations that may run ahead of their turn at any time. */
const MOST_AHEAD = 0.1;

/**
 * INSERTs that were done ahead of their turn, because what was drawn lacked rows of theirs. What was drawn waits, and is
 * done when the INSERT that took its place is drawn: so parents come first, and the mix stays what the weights say.
 */
export class Ahead {
  /** By relation: number of INSERTs done ahead of their turn and not repaid yet. */
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

  /** Records that a draw has given its turn to an INSERT on a relation. */
  lend(choice: Choice, relation: number): void {
    this.waiting.push(choice);
    this.counts[relation]!++;
  }

  /** Returns the draws that may take the turn of an INSERT drawn on a relation; none if it is owed to none. */
  candidates(relation: number): readonly Choice[] {
    return this.counts[relation]! > 0 ? this.waiting.slice(0, LOOKED_AT) : NOBODY;
  }

  /** Records that a waiting draw took the turn of an INSERT on a relation. */
  repay(choice: Choice, relation: number): void {
    this.waiting.splice(this.waiting.indexOf(choice), 1);
    this.counts[relation]!--;
  }

  /** Drops the draws that wait for a kind of operation on a relation, because that kind is no longer tried. */
  giveUp(relation: number, kind: OperationKind): void {
    const left = this.waiting.filter((choice) => choice.relation !== relation || choice.operation !== kind);
    this.waiting.splice(0, this.waiting.length, ...left);
  }

  save() {
    return { counts: this.counts, waiting: this.waiting };
  }

  restore({ counts, waiting }: ReturnType<Ahead['save']>): void {
    this.counts.set(counts);
    this.waiting.splice(0, this.waiting.length, ...waiting);
  }

  /** Records that an INSERT on one relation gave its turn to one on another, which brings the waiting draw nearer. */
  pass(from: number, to: number): void {
    this.counts[from]!--;
    this.counts[to]!++;
  }
}

const NOBODY: readonly Choice[] = [];
