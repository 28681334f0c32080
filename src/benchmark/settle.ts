import type { Load } from './load.js';

const LOOK_MS = 10;
/* No operation has ended for so long: those in flight are through. */
const QUIET_MS = 100;

/** Milliseconds from the end of the load until a target had caught up, by target; null where it did not in time. */
export type CaughtUp = ReadonlyMap<string, number | null>;

/**
 * Ends the load, and waits until every target has shown a heartbeat that was committed behind the load's last transaction, with all
 * before it; `caughtUp` is filled as they do. The log is applied in its order, so that its position is reached and nothing is unseen.
 */
export async function settle(
  load: Load,
  mostMs: number,
  caughtUp = new Map<string, number | null>(),
): Promise<CaughtUp> {
  load.steer(0);
  const beganMs = load.look().ms;
  const quietMs = await quiet(load, mostMs);
  for (;;) {
    const { ms, replication } = load.look();
    for (const { target, newestShownMs } of replication.targets)
      if (caughtUp.get(target) == null)
        caughtUp.set(target, newestShownMs !== null && newestShownMs > quietMs ? ms - beganMs : null);
    if ([...caughtUp.values()].every((each) => each !== null) || ms - beganMs > mostMs) return caughtUp;
    await load.wait(LOOK_MS);
  }
}

/** The moment at which the last operation had ended. */
async function quiet(load: Load, mostMs: number): Promise<number> {
  const began = load.look();
  let last = began;
  for (;;) {
    await load.wait(LOOK_MS);
    const now = load.look();
    if (now.operations !== last.operations) last = now;
    else if (now.ms - last.ms > QUIET_MS || now.ms - began.ms > mostMs) return last.ms;
  }
}
