/** A small schema of our own, named for the shape that it shows, and what must hold after a run on it. */
export interface Animal {
  /** The shape that it shows. */
  readonly name: string;
  readonly sql: string;
  /** What the configuration must say for it; with settings of its own, a schema has a run of its own. */
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

/** The PostgreSQL schema in which one of many stands that share a database. */
export const schemaOf = ({ name }: Animal): string => name.replaceAll('-', '_');

/** True if it can share a database, and a run, with others. */
export const isSociable = ({ settings, redrawn }: Animal): boolean => settings === undefined && redrawn !== true;

/** The statements that make a database of many, each in a schema of its own; extensions are for all of them. */
export function sharedSql(animals: readonly Animal[]): string {
  const parts = animals.map((animal) => {
    const sql = animal.sql.replaceAll(/CREATE EXTENSION (\w+)/g, 'CREATE EXTENSION IF NOT EXISTS $1 SCHEMA public');
    return `CREATE SCHEMA ${schemaOf(animal)}; SET search_path = ${schemaOf(animal)}, public; ${sql};`;
  });
  return `${parts.join('\n')} SET search_path = public`;
}
