import { type Line, LinkReader } from './stream-reader.js';
import type { TableFacts, ToldEvent } from './told.js';

type Events = AsyncIterable<ToldEvent> | Iterable<ToldEvent>;

/**
 * Finds out who made changes that a stream tells of without saying so: the n-th change of a key is the n-th one in the history of
 * the run. Where others have changed the key as well, nobody can say, and nothing is returned.
 * @param positions the changes in question, by their position in the stream
 * @param stream called twice; memory is used for the keys in question only
 * @returns `lane:operation` by position
 */
export async function originsOf(
  positions: ReadonlySet<number>,
  stream: () => Events,
  history: () => Events,
  facts: ReadonlyMap<string, TableFacts>,
): Promise<ReadonlyMap<number, string>> {
  const chains = new Set<string>();
  await read(stream(), facts, (chain, [, , , position]) => {
    if (positions.has(position)) chains.add(chain);
  });
  const told = new Map<string, number[]>();
  await read(stream(), facts, (chain, [, , , position]) => {
    if (chains.has(chain)) listIn(told, chain).push(position);
  });
  const made = new Map<string, string[]>();
  await read(history(), facts, (chain, [, , , , , , , , origin]) => {
    if (chains.has(chain) && origin !== null) listIn(made, chain).push(origin);
  });
  const origins = new Map<number, string>();
  for (const [chain, all] of told) {
    const makers = made.get(chain) ?? [];
    if (makers.length !== all.length) continue;
    for (const [index, position] of all.entries()) if (positions.has(position)) origins.set(position, makers[index]!);
  }
  return origins;
}

/** Tells of each link of each chain in its order; an update of a key is a link of two chains. */
async function read(
  events: Events,
  facts: ReadonlyMap<string, TableFacts>,
  take: (chain: string, line: Line) => void,
): Promise<void> {
  const reader = new LinkReader(0, facts, take);
  for await (const told of events) reader.take(told);
}

function listIn<Value>(lists: Map<string, Value[]>, key: string): Value[] {
  let list = lists.get(key);
  if (list === undefined) {
    list = [];
    lists.set(key, list);
  }
  return list;
}
