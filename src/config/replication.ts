import { type ConnectionSettings, resolveConnection } from './connection.js';
import type { Problem } from './problem.js';
import type { FileConfig, TargetConfig } from './schema.js';
import type { Source } from './source.js';

/** A server that data is replicated to, and where it can be read. */
export interface ReplicationTarget {
  readonly name: string;
  readonly kind: TargetConfig['kind'];
  readonly connection: ConnectionSettings;
  /** Started beside an embedded server, for this run only. */
  readonly embedded: boolean;
}

/** What is measured of replication; null where nothing is. */
export interface ReplicationConfig {
  readonly targets: readonly ReplicationTarget[];
  /** Schema of the heartbeat's table, on the server of the traffic and on each target. */
  readonly schema: string;
  readonly intervalMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Targets take what their connection leaves out from `connection:`, since replicas mostly differ in the host alone. */
export function resolveReplication(
  { replication, connection, generator }: FileConfig,
  primary: ConnectionSettings,
  environment: Environment,
  source: Source,
  problems: Problem[],
): ReplicationConfig | null {
  if (replication.targets.length === 0) return null;
  const { schema_name: schemas } = generator;
  if ([schemas].flat().includes(replication.heartbeat.schema))
    problems.push(
      source.problem(
        ['replication', 'heartbeat', 'schema'],
        `"${replication.heartbeat.schema}" is a schema of the traffic, which would change the heartbeats: name another`,
      ),
    );
  const names = new Set<string>();
  const targets = replication.targets.map((target, index): ReplicationTarget => {
    const path = ['replication', 'targets', index];
    const report = (key: string, message: string) => problems.push(source.problem([...path, key], message));
    if (names.has(target.name)) report('name', `"${target.name}" stands twice; targets are told apart by their names`);
    names.add(target.name);
    const { name, kind } = target;
    const { embedded } = target.connection;
    if (embedded && !connection.embedded)
      report(
        'connection',
        'embedded replicas are those of an embedded server: set connection.embedded, or give a host',
      );
    if (embedded && kind === 'heartbeat')
      report('kind', 'an embedded replica is a standby or a subscriber: physical or logical');
    const settings = resolveConnection(target.connection, environment, source, problems, {
      path: [...path, 'connection'],
      fallback: primary,
    });
    const isPrimary =
      settings.host === primary.host && settings.port === primary.port && settings.database === primary.database;
    if (!embedded && isPrimary && !connection.embedded)
      report(
        'connection',
        'is the server of connection: itself; name the host, port or database that data is replicated to',
      );
    return { name, kind, connection: settings, embedded };
  });
  return { targets, schema: replication.heartbeat.schema, intervalMs: replication.heartbeat.interval };
}
