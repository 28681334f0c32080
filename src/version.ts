import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** The version of this package, from the package.json above the built files or the sources. */
export const VERSION: string = (() => {
  for (const up of ['../package.json', '../../package.json']) {
    try {
      const manifest = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as {
        name?: string;
        version: string;
      };
      if (manifest.name === 'pg-event-generator') return manifest.version;
    } catch {
      // One folder further up.
    }
  }
  return 'unknown';
})();

export const FAKER_VERSION: string = (require('@faker-js/faker/package.json') as { version: string }).version;
