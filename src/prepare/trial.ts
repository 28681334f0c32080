import { Operation } from '../lane/messages/operation.js';
import { type Effect, reactionTo } from '../lane/messages/outcome.js';
import { operationSeeds } from '../lane/rows/compiled.js';
import { OPERATION_KINDS, type OperationKind } from '../plan/plan.js';
import type { Stage } from './stage.js';

/* Number of tries, with other values or another row, before an operation counts as impossible. */
const DRAWS = 12;

/** Why an operation did not take effect. */
export interface Failure {
  /** Null if the row was not rejected but still does not exist. */
  readonly sqlstate: string | null;
  readonly message: string;
  readonly constraint: string | null;
  readonly detail: string | null;
  /** The table of the row in question, which may be one that a trigger wrote to. */
  readonly table: string | null;
  /** Where the error was raised, as the server reports it. */
  readonly context: string | null;
}

/** Returns the failure of an operation that the server did not reject. */
export function ineffective(message: string): Failure {
  return { sqlstate: null, message, constraint: null, detail: null, table: null, context: null };
}

/** The result of an operation that was tried with several values. */
export type Trial =
  | {
      readonly kind: 'passed';
      readonly operation: Operation;
      readonly effect: Effect;
      /** Draws that were refused before, and why the last of them was. */
      readonly refused: number;
      readonly refusal: Failure | null;
    }
  | { readonly kind: 'refused'; readonly failure: Failure }
  /** There was no row or no room for it, or the error was transient, which says nothing about the table. */
  | { readonly kind: 'unknown' };

/** How often an operation is tried to see how often it is refused, the number of the first draw, and how many passes at first are enough. */
interface Sampling {
  readonly most: number;
  readonly first: number;
  readonly enough: number;
}

/** Returns how many draws of a sample are refused, and why the last of them is. Where there is nothing to try, none is. */
export async function refusalsOf(
  stage: Stage,
  wish: Pick<Wish, 'relation' | 'kind' | 'write'>,
  { most, first, enough }: Sampling,
): Promise<{ readonly refused: number; readonly failure: Failure | null }> {
  let failure: Failure | null = null;
  let [refused, passed] = [0, 0];
  for (let draw = 0; draw < most && (refused > 0 || passed < enough); draw++) {
    const trial = await tryOperation(stage, { ...wish, keeps: false, draws: 1, first: first + draw });
    if (trial.kind === 'unknown') break;
    if (trial.kind === 'passed') passed++;
    else [refused, failure] = [refused + 1, trial.failure];
  }
  return { refused, failure };
}

/** Writes an operation differently than the lane would; returns false if that is impossible. */
export type Write = (operation: Operation, seeds: ReturnType<typeof operationSeeds>) => boolean;

interface Wish {
  readonly relation: number;
  readonly kind: OperationKind;
  /** True if its rows stay on the stage. */
  readonly keeps: boolean;
  readonly draws?: number;
  /** Number of the first draw; equal numbers give equal values. */
  readonly first?: number;
  readonly write?: Write;
}

/** Tries an operation, each time with other values, until it passes. */
export async function tryOperation(stage: Stage, { relation, kind, keeps, draws, first, write }: Wish): Promise<Trial> {
  if (!stage.rows.possible(relation, kind)) return { kind: 'unknown' };
  const lane = stage.compiled.laneSeeds(0);
  let last: Trial = { kind: 'unknown' };
  for (let attempt = 0; attempt < (draws ?? DRAWS); attempt++) {
    const operation = new Operation(0, relation, kind, kind);
    operation.attempt = attempt;
    // An UPDATE must not draw the same values as the row's INSERT.
    const number = relation * OPERATION_KINDS.length + OPERATION_KINDS.indexOf(kind);
    const seeds = operationSeeds(lane, number, (first ?? 0) + attempt);
    const writes = (given: Operation) =>
      write === undefined ? stage.rows.generate(given, seeds) === 'written' : write(given, seeds);
    if (!writes(operation)) return last;
    const outcome = await stage.carryOut(operation, keeps);
    stage.remember({ relation, kind, attempt, write: writes, stays: keeps && outcome.kind === 'committed' });
    if (outcome.kind === 'committed') {
      const effect = outcome.effects[0]!;
      const hasEffect = operation.statements.every(({ own }, index) => !own || effect.rows[index]! > 0);
      if (hasEffect)
        return {
          kind: 'passed',
          operation,
          effect,
          refused: attempt,
          refusal: last.kind === 'refused' ? last.failure : null,
        };
      return {
        kind: 'refused',
        failure: ineffective(
          `${kind.toUpperCase()} has no effect, because a trigger, a rule or row security suppresses it`,
        ),
      };
    }
    const reaction = reactionTo(outcome.sqlstate, kind);
    if (reaction === 'replay') return { kind: 'unknown' };
    last = { kind: 'refused', failure: outcome };
    if (reaction === 'reject') return last;
  }
  return last;
}
