import type { TestProject } from 'vitest/node';
import { startCluster } from '../../src/server/cluster.js';

declare module 'vitest' {
  export interface ProvidedContext {
    port: number;
  }
}

/** One embedded server for the whole test run; each file makes databases of its own on it. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startCluster();
  project.provide('port', cluster.settings.port);
  return () => cluster.stop();
}
