import { labelOf, type Relation } from '../catalog/model.js';
import { readTriggerText } from '../catalog/trigger-text.js';
import type { Plan } from '../plan/plan.js';

/* The most tables or triggers that a reason names; the rest are counted. */
const MOST_NAMED = 3;

/**
 * Returns why triggers may make the same seed leave other rows: they use the clock or random values, read rows that
 * other lanes change at the same time, or write rows whose keys depend on the order of writers. Empty if none does.
 */
export function reasonsFromTriggers(plan: Plan, relations: readonly Relation[]): string[] {
  const volatile = new Map<string, string[]>();
  const reading: string[] = [];
  const written: string[] = [];
  const others = new Set(plan.triggered.map(({ relation }) => relation));
  for (const [index, relation] of relations.entries()) {
    const { operations, targeted } = plan.relations[index]!;
    const label = labelOf(relation);
    if (others.has(index) && relation.attributes.some(isFilledByTurn)) written.push(label);
    if (!targeted) continue;
    for (const { name, events, source } of relation.triggers) {
      const fires =
        (events.insert && operations.insert) ||
        (events.update && operations.update) ||
        (events.delete && operations.delete);
      if (!fires) continue;
      const text = readTriggerText(source);
      if (text.volatile !== null)
        volatile.set(text.volatile, [...(volatile.get(text.volatile) ?? []), `${name} of ${label}`]);
      else if (text.readsRows) reading.push(`${name} of ${label}`);
    }
  }
  const reasons = [...volatile].map(([what, triggers]) => `${named('trigger', triggers)} uses ${what}`);
  if (plan.quotas.length === 1) return reasons;
  if (reading.length > 0)
    reasons.push(`${named('trigger', reading)} reads rows that other connections may change at the same time`);
  if (written.length > 0)
    reasons.push(`triggers of several connections insert into ${named('table', written)} in no fixed order`);
  return reasons;
}

/** Returns true for a column whose default depends on the order or time of INSERTs. */
function isFilledByTurn({ identity, sequence, default: text }: Relation['attributes'][number]): boolean {
  return identity !== 'none' || sequence !== null || (text?.includes('(') ?? false) || /current_/i.test(text ?? '');
}

/** Returns the noun with the first few names, and the number of the others. */
export function named(noun: string, names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  return `${noun} ${names.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
