import * as z from 'zod';
import { fileSchema } from './schema.js';

/** The JSON schema (draft 2020-12) of a configuration file, as editors and validators read it. */
export function jsonSchema(): object {
  const schema = z.toJSONSchema(fileSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema: json }) => {
      // A seed may be larger than JavaScript's whole numbers.
      if (zodSchema._zod.def.type === 'bigint') json.type = 'integer';
    },
  });
  return { title: 'Configuration of pg-event-generator', ...schema };
}
