import { jsonSchema } from '../config/json-schema.js';
import { EXIT } from './exit.js';

/** Prints the JSON schema of the configuration file. Returns the exit code. */
export function schema(): number {
  process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
  return EXIT.finished;
}
