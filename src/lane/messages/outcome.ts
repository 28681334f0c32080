import type { OperationKind } from '../../plan/plan.js';

/** What an operation's statements did. */
export interface Effect {
  /** Rows affected, by statement. */
  readonly rows: readonly number[];
  /** Rows read by RETURNING, by statement; null where a statement returns none. */
  readonly returned: readonly (readonly (readonly (string | null)[])[] | null)[];
}

/* No text of PostgreSQL can contain this character. */
const UNTOLD = '\0';

/** Returns a placeholder for what the server would return, if a lane is played without a server. */
export function untold(what: string): string {
  return `${UNTOLD}${what}`;
}

export function isUntold(text: string | null): boolean {
  return text?.startsWith(UNTOLD) ?? false;
}

/** The outcome of a transaction. A rejected statement is data, not an exception. */
export type Outcome =
  /** It ended as intended, by COMMIT or by ROLLBACK. */
  | { readonly kind: 'committed' /** By member. */; readonly effects: readonly Effect[] }
  | {
      readonly kind: 'refused';
      readonly sqlstate: string;
      readonly message: string;
      readonly constraint: string | null;
      /** The values in question and their table, as the server reports them. */
      readonly detail: string | null;
      readonly table: string | null;
      /** The calls that led to the error, as the server reports them; null if there were none. */
      readonly context: string | null;
      /** Index of the rejected member; −1: the end of a block. */
      readonly member: number;
    };

/** Returns the server's message, with the function that raised it, which is hard to find otherwise. */
export function messageOf({ message, context }: Outcome & { kind: 'refused' }): string {
  const raised = /PL\/\w+ function ([^\n]+?)(?: line \d+| while|$)/m.exec(context ?? '')?.[1];
  return raised === undefined ? message : `${message}, raised in function ${raised}`;
}

/** How the lane reacts to an error. The SQLSTATE decides, never the text of the message. */
export type Reaction =
  /** Tries again with new values, up to the operation's limit. */
  | 'redraw'
  /** Sends the same values again, after a pause. */
  | 'replay'
  /** Counts the operation as rejected. */
  | 'reject';

/**
 * Classes 22 and 23 refuse the values, and so does what a trigger's code raises (P0001): other values may pass it.
 * Serialization failures, deadlocks, lock and statement time-outs and exhausted resources are transient. 26000 and 0A000
 * ("cached plan must not change result type") name a statement that must be prepared again. A DELETE has no values that
 * could be at fault: whatever refuses the row, another row is tried. Which of several refusals the server names first,
 * when a DELETE cascades, depends on the order in which rows lie, so it must not matter. Source: appendix A of
 * PostgreSQL's manual.
 */
export function reactionTo(sqlstate: string, kind: OperationKind): Reaction {
  if (sqlstate.startsWith('22') || sqlstate.startsWith('23') || sqlstate === 'P0001') return 'redraw';
  // A conversion within a trigger that has none for the value; where a statement must be prepared anew the session does so itself.
  if (sqlstate === '0A000' && kind !== 'delete') return 'redraw';
  if (kind === 'delete' && RAISED.test(sqlstate)) return 'redraw';
  if (sqlstate === '40001' || sqlstate === '40P01' || sqlstate === '55P03' || sqlstate === '57014') return 'replay';
  if (sqlstate.startsWith('53') || sqlstate === '26000') return 'replay';
  return 'reject';
}

/* Raised by a trigger's own code: 09 and 27 are the trigger's failures, P0 is PL/pgSQL's RAISE, 44 a view's WITH CHECK OPTION. */
const RAISED = /^(09|27|44|P0)/;

/** Replays of one transaction before it is given up as failed: a lock that is never released must not hang a run. */
export const MAX_REPLAYS = 20;

/** Returns the pause before the n-th replay (from 1), in milliseconds: 1, 2, 4 … 500. */
export function replayDelayMs(replay: number): number {
  return Math.min(500, 1 << Math.min(replay - 1, 9));
}
