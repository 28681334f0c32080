import type { FileConfig } from './schema.js';

/**
 * Keys that INTERFACE promises and this version does not carry out yet: accepted at their default, refused otherwise,
 * never ignored. Each entry leaves the list with the feature.
 */
export function keysNotInThisVersion(config: FileConfig): readonly (readonly string[])[] {
  const { generator, traffic, thresholds, replication } = config;
  const refused: string[][] = [];
  const refuseIf = (condition: boolean, ...path: string[]) => {
    if (condition) refused.push(path);
  };
  refuseIf(generator.enable_index_create_drop, 'generator', 'enable_index_create_drop');
  refuseIf(generator.force_conflicts.enabled, 'generator', 'force_conflicts', 'enabled');
  refuseIf(generator.defaults === 'all', 'generator', 'defaults');
  refuseIf(generator.transaction.statements !== 1, 'generator', 'transaction', 'statements');
  refuseIf(generator.transaction.savepoint_ratio !== 0, 'generator', 'transaction', 'savepoint_ratio');
  refuseIf(generator.transaction.rollback_ratio !== 0, 'generator', 'transaction', 'rollback_ratio');
  refuseIf(generator.transaction.isolation !== 'read committed', 'generator', 'transaction', 'isolation');
  refuseIf(generator.skew.distribution !== 'uniform', 'generator', 'skew', 'distribution');
  refuseIf(traffic.rate !== undefined, 'traffic', 'rate');
  refuseIf(traffic.arrival !== 'constant', 'traffic', 'arrival');
  refuseIf(traffic.rate_unit !== 'operations', 'traffic', 'rate_unit');
  refuseIf(traffic.catch_up !== 'bounded', 'traffic', 'catch_up');
  refuseIf(traffic.catch_up_seconds !== 1, 'traffic', 'catch_up_seconds');
  refuseIf(traffic.late_after !== 1000, 'traffic', 'late_after');
  refuseIf(traffic.warm_up !== 0, 'traffic', 'warm_up');
  refuseIf(traffic.stages.length > 0, 'traffic', 'stages');
  refuseIf(traffic.spikes.length > 0, 'traffic', 'spikes');
  refuseIf(thresholds.length > 0, 'thresholds');
  refuseIf(replication.targets.length > 0, 'replication', 'targets');
  return refused;
}
