/** A small schema of our own, named for the shape that it shows, and what must hold after a run on it. */
export interface Animal {
  /** The shape that it shows. */
  readonly name: string;
  readonly sql: string;
  readonly settings?: string;
  /** The first version that has it. */
  readonly since?: number;
  /** A table that others inherit from, so that its name alone means their rows as well. */
  readonly inherited?: string;
  /** Queries that must return no row afterwards: what the distribution of values owes. */
  readonly never?: readonly string[];
  /** True where only the server can tell whether it takes a row: what is refused is tried again and passes. */
  readonly redrawn?: boolean;
  /** Tables whose UPDATEs must have taken rows to other partitions. */
  readonly moves?: readonly string[];
}
