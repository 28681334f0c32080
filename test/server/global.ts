import type { TestProject } from 'vitest/node';
import { startCluster } from '../../src/server/cluster.js';

declare module 'vitest' {
  export interface ProvidedContext {
    port: number;
  }
}

/**
 * One embedded server for the whole test run; each file makes databases of its own on it. EVENTGEN_TEST_PROGRAMS names the
 * folder of another PostgreSQL's programs.
 */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const { EVENTGEN_TEST_PROGRAMS: programs } = process.env;
  const cluster = await startCluster(programs === undefined ? {} : { programs });
  project.provide('port', cluster.settings.port);
  return () => cluster.stop();
}
