export type LoadEnd =
  | { readonly kind: 'finished' | 'stopped' }
  /** The server has crashed, or another one has taken over: what it has acknowledged last may be lost. */
  | { readonly kind: 'crashed'; readonly crashMark: string }
  | { readonly kind: 'outage' | 'refused'; readonly message: string };

/** The lane ends, as a value that passes through its awaits. */
export class Ended extends Error {
  readonly end: LoadEnd;

  constructor(end: LoadEnd) {
    super();
    this.end = end;
  }
}

/** A refusal that no other value would pass, or a condition that did not pass: the table is left as it is. */
export class TableRefused extends Error {}
