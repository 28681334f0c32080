declare module 'pgpass' {
  /** Looks up a password in ~/.pgpass or PGPASSFILE; undefined where there is none. */
  export default function pgpass(
    connection: {
      readonly host: string;
      readonly port: number;
      readonly database: string;
      readonly user: string;
    },
    found: (password: string | undefined) => void,
  ): void;
}
