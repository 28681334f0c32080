import type { ReplicationReading } from '../lag/probe.js';

/** When replication is in danger; null where a limit does not count. */
export interface FuseLimits {
  /** Bytes of log that a slot makes the server keep, at most. */
  readonly retainedBytes: number | null;
  /** Slots that this holds for; null: all of them. */
  readonly slots: ReadonlySet<string> | null;
  /** Bytes that may still be written before a slot is lost, at least. */
  readonly safeBytes: number | null;
  readonly lagMs: number | null;
}

/* The load goes on when the figure is back below this share of its limit. */
const SAFE_AGAIN = 0.8;

/** Says when the load must stop, so that a slot that nobody reads does not fill the disk of the server. */
export class Fuse {
  private readonly limits: FuseLimits;
  private isBlown = false;

  constructor(limits: FuseLimits) {
    this.limits = limits;
  }

  /** Why the load must not go on; null where it may. */
  look({ targets, slots }: ReplicationReading): string | null {
    const { retainedBytes, slots: named, safeBytes, lagMs } = this.limits;
    const share = this.isBlown ? SAFE_AGAIN : 1;
    const reasons: string[] = [];
    for (const { slot, retainedBytes: retained, safeBytes: safe } of slots) {
      if (retainedBytes !== null && (named?.has(slot) ?? true) && retained >= retainedBytes * share)
        reasons.push(
          `slot ${slot} makes the server keep ${megabytes(retained)} of WAL (limit ${megabytes(retainedBytes)})`,
        );
      if (safeBytes !== null && safe !== null && safe <= safeBytes / share)
        reasons.push(
          `slot ${slot} will be lost after another ${megabytes(safe)} of WAL (limit ${megabytes(safeBytes)})`,
        );
    }
    for (const { target, oldestUnseenMs } of targets)
      if (lagMs !== null && oldestUnseenMs >= lagMs * share)
        reasons.push(
          `target ${target} is ${(oldestUnseenMs / 1000).toFixed(1)} s behind (limit ${(lagMs / 1000).toFixed(1)} s)`,
        );
    this.isBlown = reasons.length > 0;
    return reasons[0] ?? null;
  }
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2).toLocaleString('en-US')} MB`;
}
