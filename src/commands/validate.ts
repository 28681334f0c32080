import { describeConnection } from '../config/connection.js';
import { type Config, loadConfig, type Override } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { withoutSecrets } from '../config/secrets.js';
import { Progress } from '../report/progress.js';
import { shown } from '../report/shown.js';
import { EXIT } from './exit.js';

export interface ValidateOptions {
  readonly file: string;
  readonly overrides: readonly Override[];
}

/** Checks a configuration file without a database. Returns the exit code. */
export function validate({ file, overrides }: ValidateOptions, environment: NodeJS.ProcessEnv): number {
  try {
    const config = loadConfig(file, overrides, environment);
    process.stdout.write(shown(withoutSecrets(`${file} is valid. ${inWords(config)}\n`)));
    return EXIT.finished;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    new Progress(process.stderr, { json: false, quiet: false }).message('error', error.message);
    return EXIT.setup;
  }
}

function inWords({ connection, embedded, generator, schemas }: Config): string {
  const target = embedded ? 'a private PostgreSQL with the demo tables' : describeConnection(connection);
  const listed = generator.manual_table_list;
  const tables =
    listed.length > 0
      ? `${listed.length} ${listed.length === 1 ? 'table' : 'tables'}`
      : `all tables of ${schemas.join(', ')}`;
  return `A run would connect to ${target} and write to ${tables}. \`inspect\` checks the file against the database.`;
}
