import type { Plan } from '../plan/plan.js';
import type { Stage } from './stage.js';
import { type Failure, refusalsOf, tryOperation, type Write } from './trial.js';

/* The most columns that are tried one by one if sets of them are rejected. */
const MOST_SUSPECTS = 40;

interface RefusedColumns {
  readonly columns: readonly number[];
  readonly failure: Failure;
  /** False if a few draws pass, for example because a column gets the value that it has. */
  readonly isAlways: boolean;
}

/* Draws that show how often a set is refused, and how many refusals are many. */
const SAMPLE = { most: 16, first: 14_000, enough: 4 };
const MANY = 6;

/** The columns of a table that an UPDATE can change. */
interface Updates {
  /** The possible sets of columns; null: all sets of the plan. */
  readonly sets: readonly (readonly number[])[] | null;
  /** Why no set is possible; null if some are, or if there was no row to try. */
  readonly failure: Failure | null;
  /** Groups of columns that an UPDATE must not change. */
  readonly fixed: readonly RefusedColumns[];
}

/** Tries each set of columns, then each group of the rejected sets, because triggers may forbid changes of some. */
export async function tryUpdates(stage: Stage, plan: Plan, relation: number): Promise<Updates> {
  const { updateSets, updateGroups } = plan.relations[relation]!;
  if (updateSets.length === 0) {
    const trial = await tryOperation(stage, { relation, kind: 'update', keeps: false });
    return { sets: null, failure: trial.kind === 'refused' ? trial.failure : null, fixed: [] };
  }
  const refusedSets = await refusedOf(stage, relation, updateSets);
  if (refusedSets.length === 0) return { sets: null, failure: null, fixed: [] };
  const failed = new Set(refusedSets.map(({ columns }) => columns));
  const passed = new Set(updateSets.filter((set) => !failed.has(set)).flat());
  const suspects = updateGroups.filter((group) => group.some((column) => !passed.has(column))).slice(0, MOST_SUSPECTS);
  const fixed = await refusedOf(stage, relation, suspects);
  // If each group passes by itself, only the rejected sets are left out.
  const barred = new Set(fixed.flatMap(({ columns }) => columns));
  const left = updateSets
    .filter((set) => barred.size > 0 || !failed.has(set))
    .map((set) => set.filter((column) => !barred.has(column)))
    .filter((set) => set.length > 0);
  const sets = [...new Map(left.map((set) => [set.join(), set])).values()];
  if (sets.length > 0) return { sets, failure: null, fixed };
  // Now and then is better than never.
  const never = refusedSets.filter(({ isAlways }) => isAlways);
  return { sets: null, failure: never.length === updateSets.length ? never[0]!.failure : null, fixed: [] };
}

async function refusedOf(
  stage: Stage,
  relation: number,
  sets: readonly (readonly number[])[],
): Promise<RefusedColumns[]> {
  const refused: RefusedColumns[] = [];
  for (const columns of sets) {
    const trial = await tryOperation(stage, {
      relation,
      kind: 'update',
      keeps: false,
      write: (operation, seeds) => stage.rows.update(operation, columns, seeds),
    });
    if (trial.kind === 'refused') refused.push({ columns, failure: trial.failure, isAlways: true });
    else if (trial.kind === 'passed') {
      const failure = await oftenRefused(stage, relation, columns);
      if (failure !== null) refused.push({ columns, failure, isAlways: false });
    }
  }
  return refused;
}

/**
 * Returns why most of a sample of UPDATEs are refused; null if they are not. A column that must not change passes where it is drawn as it
 * stands there, which with two or three values is often.
 */
async function oftenRefused(stage: Stage, relation: number, columns: readonly number[]): Promise<Failure | null> {
  const write: Write = (operation, seeds) => stage.rows.update(operation, columns, seeds);
  const { refused, failure } = await refusalsOf(stage, { relation, kind: 'update', write }, SAMPLE);
  return refused >= MANY ? failure : null;
}
