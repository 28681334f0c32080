import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/server/global.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Two cores: more files at once would only wait for each other.
    maxWorkers: 2,
  },
});
