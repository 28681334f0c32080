import { readFileSync } from 'node:fs';
import type { Config } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { VERSION } from '../package.js';
import {
  configurationFingerprint,
  type Decided,
  decodeDecided,
  encodeDecided,
  type Identity,
  schemaFingerprint,
} from '../prepare/decided.js';
import type { Prepared } from '../prepare/examine.js';
import { writeOutput } from './output-file.js';

/** A plan in a file, with what it was made for. */
export interface PlanFile {
  readonly decided: Decided;
  /** Undefined in the file of an earlier version. */
  readonly identity: Identity | undefined;
  /** The file's name. */
  readonly from: string;
}

/** @throws SetupError where the file cannot be written. */
export function writePlanFile(file: string, config: Config, prepared: Prepared): void {
  const identity: Identity = {
    version: VERSION,
    configuration: configurationFingerprint(config),
    schema: schemaFingerprint(prepared.catalog),
  };
  writeOutput(file, `${JSON.stringify({ ...encodeDecided(prepared), identity })}\n`);
}

/** @throws SetupError where the file cannot be read, or belongs to another version's generator. */
export function readPlanFile(file: string): PlanFile {
  let text: string;
  let encoded: unknown;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw SetupError.of(file, `cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    encoded = JSON.parse(text);
  } catch (error) {
    throw SetupError.of(file, `is not a plan file (${(error as Error).message})`);
  }
  const decided = decodeDecided(encoded, file);
  return { decided, identity: (encoded as { identity?: Identity }).identity, from: file };
}
