import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';

/** What the file of `traffic.control_file` asks for. */
export interface Wish {
  /** Per second; null: as the configuration has it. */
  readonly rate: number | null;
  readonly pause: boolean;
}

export const NO_WISH: Wish = { rate: null, pause: false };

const schema = z.strictObject({
  rate: z.number().positive().nullish(),
  pause: z.boolean().nullish(),
});

/**
 * Reads what a user asks of a run under way. A file that is not there asks for nothing.
 * @throws Error where it says something else than `rate` and `pause`.
 */
export function readControlFile(file: string): Wish {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return NO_WISH;
    throw error;
  }
  let data: unknown;
  try {
    data = parse(text) ?? {};
  } catch (error) {
    throw new Error(`${file} is not YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  const read = schema.safeParse(data);
  if (!read.success)
    throw new Error(`${file}: expected only the keys rate (a number above 0) and pause (true or false)`);
  return { rate: read.data.rate ?? null, pause: read.data.pause ?? false };
}
