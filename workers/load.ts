import type { LoadTask } from '../src/bulk/coordinator.js';
import type { LoadEnd } from '../src/bulk/ends.js';
import { Journal } from '../src/bulk/journal.js';
import { LaneLoader } from '../src/bulk/lane-loader.js';
import { FileNotes, StoredNotes } from '../src/bulk/notes.js';
import { spreadOut } from '../src/config/connection.js';
import { Filling } from '../src/lane/filling.js';
import { CompiledPlan } from '../src/lane/rows/compiled.js';
import { Control } from '../src/traffic/control.js';
import { CounterBlock } from '../src/traffic/counters.js';
import { applicationName } from '../src/traffic/message.js';

/** Piscina's entry: loads the lanes of one worker. No decisions are taken here. */
export default async function loadLanes(task: LoadTask): Promise<LoadEnd[]> {
  const { plan, claims, load, connection, settings, past, keeping } = task;
  const control = new Control(0, 0, task.control);
  const counters = new CounterBlock(task.counters, plan.relations.length, plan.quotas.length, task.worker);
  const notes =
    keeping.kind === 'stored'
      ? new StoredNotes(keeping.notes)
      : new FileNotes(keeping.file === null ? null : new Journal(keeping.file));
  const compiled = new CompiledPlan(plan);
  const closing = new Set(load.stages.flatMap((stage) => (stage.kind === 'close' ? [stage.relation] : [])));
  const loaders = task.lanes.map((lane) => {
    const filling = new Filling(compiled, lane, claims, closing);
    const loader = new LaneLoader(
      { filling, compiled, load, lane },
      { ...settings, connection: spreadOut(connection, lane), applicationName: applicationName(task.runId, lane) },
      { control, counters, notes, notice: (message) => task.notices.postMessage(message) },
    );
    return { lane, loader };
  });
  try {
    return await Promise.all(
      loaders.map(({ lane, loader }) => loader.run(past.filter((entry) => entry.lane === lane))),
    );
  } finally {
    task.notices.close();
  }
}
