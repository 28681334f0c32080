import type { Submittable } from 'pg';

/* The package has it, its types do not. */
declare module 'pg-copy-streams' {
  /** A duplex stream for START_REPLICATION; aligned, it gives one message at a time. */
  export function both(text: string, options?: { readonly alignOnCopyDataFrame?: boolean }): Submittable;
}
