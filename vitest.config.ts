import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/* The longest files first: one that begins when all others have ended keeps a core idle. By default the size of a file decides. */
const LONGEST = [
  'run',
  'relations',
  'shapes',
  'load',
  'schemas',
  'reproducible',
  'rows',
  'edges',
  'benchmark',
  'shards',
  'schedule',
  'coordinator',
  'lost-commits',
  'chaos',
  'patroni',
  'secrets',
  'claim',
  'capture',
  'replication',
  'flavours',
  'harm',
  'zoo',
  'transactions',
  'crash',
  'in-doubt',
  'first-hour',
  'page',
  'contents',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const found = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return found < 0 ? LONGEST.length : found;
    };
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/server/global.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Two cores: more files at once would only wait for each other.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
  },
});
