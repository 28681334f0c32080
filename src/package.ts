import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const MANIFEST = 'package.json';
const MOST_LEVELS = 4;

/** The folder of this package, as a URL: above the sources, or above what is built of them. */
const FOLDER = (() => {
  let folder = new URL('.', import.meta.url);
  for (let level = 0; level < MOST_LEVELS && !existsSync(new URL(MANIFEST, folder)); level++)
    folder = new URL('..', folder);
  return folder;
})();

/** A file of this package by its path from the root. */
export function packageFile(path: string): URL {
  return new URL(path, FOLDER);
}

export const VERSION: string = (JSON.parse(readFileSync(packageFile(MANIFEST), 'utf8')) as { version: string }).version;

const require = createRequire(import.meta.url);

export const FAKER_VERSION: string = (require('@faker-js/faker/package.json') as { version: string }).version;
