import { type ConnectionSettings, resolveConnection } from './connection.js';
import type { Problem } from './problem.js';
import type { FileConfig, TargetConfig } from './schema.js';
import type { Source } from './source.js';

/** A server that data is replicated to, and where it can be read. */
export interface ServerTarget {
  readonly name: string;
  readonly kind: 'physical' | 'logical' | 'heartbeat';
  readonly connection: ConnectionSettings;
  /** Started beside an embedded server, for this run only. */
  readonly embedded: boolean;
  /** True where `lag overhead` may stop it for a while. */
  readonly mayPause: boolean;
}

/** A consumer that cannot be asked, by the replication slot that it confirms to. */
export interface SlotTarget {
  readonly name: string;
  readonly kind: 'slot';
  readonly slot: string;
  /** True if a consumer is started beside an embedded server, for this run only. */
  readonly embedded: boolean;
}

/** A target that a program of the user's looks at. */
export interface CommandTarget {
  readonly name: string;
  readonly kind: 'command';
  readonly command: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** What data is replicated to, and how its heartbeats are seen. */
export type ReplicationTarget = ServerTarget | SlotTarget | CommandTarget;

/** When the load is paused, or ended, so that replication does no harm; a limit is null where it does not count. */
interface FuseConfig {
  /** Bytes of log that a slot may make the server keep; auto: found out from the server. */
  readonly retainedBytes: number | 'auto' | null;
  /** Least bytes that must be left before a slot is lost. */
  readonly safeBytes: number | null;
  readonly lagMs: number | null;
  readonly action: 'pause' | 'stop';
}

/** What is measured of replication; null where nothing is. */
export interface ReplicationConfig {
  readonly targets: readonly ReplicationTarget[];
  /** Schema of the heartbeat's table, on the server of the traffic and on each target. */
  readonly schema: string;
  /** Tables beside which heartbeats are written as well, each in a table of its own. */
  readonly tables: readonly string[];
  readonly intervalMs: number;
  readonly fuse: FuseConfig;
}

const MOST_NAME_BYTES = 63 - 'heartbeat_'.length;

type Environment = Readonly<Record<string, string | undefined>>;

export function isServer(target: ReplicationTarget): target is ServerTarget {
  return target.kind !== 'slot' && target.kind !== 'command';
}

/** Targets take what their connection leaves out from `connection:`, since replicas mostly differ in the host alone. */
export function resolveReplication(
  file: FileConfig,
  primary: ConnectionSettings,
  environment: Environment,
  source: Source,
  problems: Problem[],
): ReplicationConfig | null {
  const { replication, generator } = file;
  if (replication.targets.length === 0) {
    if (source.valueAt(['replication', 'fuse']) !== undefined)
      problems.push(source.problem(['replication', 'fuse'], 'has no target to watch: set replication.targets'));
    return null;
  }
  const { schema_name: schemas } = generator;
  if ([schemas].flat().includes(replication.heartbeat.schema))
    problems.push(
      source.problem(
        ['replication', 'heartbeat', 'schema'],
        `"${replication.heartbeat.schema}" is a schema of the traffic, which would change the heartbeats; name another schema`,
      ),
    );
  const { tables } = replication.heartbeat;
  for (const [index, table] of tables.entries()) {
    const same = tables.findIndex((each) => each.replaceAll('.', '_') === table.replaceAll('.', '_'));
    if (same < index)
      problems.push(
        source.problem(
          ['replication', 'heartbeat', 'tables', index],
          `"${table}" would have the same heartbeat table as "${tables[same]}"`,
        ),
      );
    // The server cuts longer names.
    if (Buffer.byteLength(table) > MOST_NAME_BYTES)
      problems.push(
        source.problem(
          ['replication', 'heartbeat', 'tables', index],
          `"${table}" is too long: with heartbeat_ in front, a name has at most 63 bytes`,
        ),
      );
  }
  const names = new Set<string>();
  const targets = replication.targets.flatMap((target, index): ReplicationTarget[] => {
    const path = ['replication', 'targets', index];
    const report = (key: string, message: string) => problems.push(source.problem([...path, key], message));
    if (names.has(target.name)) report('name', `"${target.name}" is used twice; every target needs a name of its own`);
    names.add(target.name);
    checkKeys(target, report);
    const { name, kind } = target;
    switch (kind) {
      case 'slot':
        if (target.connection?.embedded === true && !file.connection.embedded)
          report('connection', 'an embedded consumer needs an embedded source: set connection.embedded');
        return target.slot === undefined
          ? []
          : [{ name, kind, slot: target.slot, embedded: target.connection?.embedded === true }];
      case 'command': {
        const { command, interval: intervalMs, timeout: timeoutMs } = target;
        return command === undefined
          ? []
          : [{ name, kind, command, intervalMs: intervalMs ?? 1000, timeoutMs: timeoutMs ?? 10_000 }];
      }
      default:
        return [serverTarget({ ...target, kind }, file, primary, { environment, source, problems, path })];
    }
  });
  const { retained, safe_wal_size: safe, lag, action } = replication.fuse;
  return {
    targets,
    schema: replication.heartbeat.schema,
    tables,
    intervalMs: replication.heartbeat.interval,
    fuse: {
      retainedBytes: retained === 0 ? null : retained,
      safeBytes: safe === 0 ? null : safe,
      lagMs: lag === 0 ? null : lag,
      action,
    },
  };
}

/* Keys that only some kinds have, and those that they need. */
const KEYS: Readonly<
  Record<'slot' | 'command' | 'interval' | 'timeout' | 'connection', readonly TargetConfig['kind'][]>
> = {
  slot: ['slot'],
  command: ['command'],
  interval: ['command'],
  timeout: ['command'],
  connection: ['physical', 'logical', 'heartbeat'],
};

function checkKeys(target: TargetConfig, report: (key: string, message: string) => void): void {
  const { kind } = target;
  for (const [key, kinds] of Object.entries(KEYS) as [keyof typeof KEYS, readonly TargetConfig['kind'][]][])
    if (target[key] !== undefined && !kinds.includes(kind) && !(key === 'connection' && isEmbeddedConsumer(target)))
      report(key, `has no effect with kind: ${kind}; remove it, or use kind: ${kinds.join(' or ')}`);
  if (kind === 'slot' && target.slot === undefined)
    report('kind', 'needs slot: NAME, the consumer’s replication slot on the source server (connection:)');
  if (kind === 'command' && target.command === undefined)
    report(
      'kind',
      'needs command: [PROGRAM, ARGUMENT …], a program that prints the number of the newest heartbeat at the target',
    );
  if (target.may_pause === true && kind !== 'logical')
    report('may_pause', 'works only with kind: logical, because only subscriptions can be paused; remove it');
}

/* The source's own server has the slot, so that there is nothing to connect to but a consumer that is to be started. */
function isEmbeddedConsumer({ kind, connection }: TargetConfig): boolean {
  return kind === 'slot' && connection?.embedded === true;
}

function serverTarget(
  target: TargetConfig & { readonly kind: ServerTarget['kind'] },
  { connection }: FileConfig,
  primary: ConnectionSettings,
  at: {
    readonly environment: Environment;
    readonly source: Source;
    readonly problems: Problem[];
    readonly path: readonly (string | number)[];
  },
): ServerTarget {
  const { environment, source, problems, path } = at;
  const { name, kind, may_pause: mayPause } = target;
  const given = target.connection ?? NO_CONNECTION;
  const report = (key: string, message: string) => problems.push(source.problem([...path, key], message));
  const { embedded } = given;
  if (embedded && !connection.embedded)
    report(
      'connection',
      'an embedded replica needs an embedded source: set connection.embedded, or name the host of the replica',
    );
  if (embedded && kind === 'heartbeat')
    report('kind', 'an embedded replica must be kind: physical (a standby) or kind: logical (a subscriber)');
  const settings = resolveConnection(given, environment, source, problems, {
    path: [...path, 'connection'],
    fallback: primary,
  });
  const isPrimary =
    settings.host === primary.host && settings.port === primary.port && settings.database === primary.database;
  if (!embedded && isPrimary && !connection.embedded)
    report(
      'connection',
      'is the source itself (connection:); name the host, port or database that data is replicated to',
    );
  return { name, kind, connection: settings, embedded, mayPause };
}

const NO_CONNECTION = { settings: {}, embedded: false };
