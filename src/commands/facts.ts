import { type ConnectionSettings, describeConnection } from '../config/connection.js';
import { VERSION } from '../package.js';
import type { RunFacts } from '../page/data.js';
import type { Plan } from '../plan/plan.js';

/** Returns what page and report tell of a run or a load. */
export function factsOf(
  plan: Plan,
  {
    connection,
    ...given
  }: Pick<RunFacts, 'command' | 'run_id' | 'started_at' | 'server_version' | 'workers'> & {
    readonly connection: ConnectionSettings;
  },
): RunFacts {
  return {
    ...given,
    version: VERSION,
    database: describeConnection(connection),
    random_seed: plan.randomSeed,
    faker_seed: plan.fakerSeed,
    connections: plan.quotas.length,
    pipeline_depth: plan.pipelineDepth,
    row_selection: plan.rowSelection,
  };
}
