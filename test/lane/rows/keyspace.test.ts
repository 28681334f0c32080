import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Keyspace } from '../../../src/lane/rows/keyspace.js';
import { DenseSet } from '../../../src/lane/rows/slots.js';

describe('a dense set', () => {
  it('holds what a set holds, and every member at one position', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(60))), (steps) => {
        const dense = new DenseSet();
        const model = new Set<number>();
        for (const [add, value] of steps) {
          if (add) {
            dense.add(value);
            model.add(value);
          } else {
            dense.remove(value);
            model.delete(value);
          }
          expect(dense.size).toBe(model.size);
          expect(dense.has(value)).toBe(model.has(value));
        }
        expect(new Set(Array.from({ length: dense.size }, (_, at) => dense.at(at)))).toEqual(model);
      }),
    );
  });
});

describe('a keyspace', () => {
  it('never lets a row in flight, or one that is referenced, be removed', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.nat(30)), { maxLength: 200 }), (steps) => {
        const keyspace = new Keyspace(1);
        const slots: number[] = [];
        const references = new Map<number, number>();
        const taken = new Set<number>();
        const live = new Set<number>();
        for (const [step, pick] of steps) {
          const slot = slots.length > 0 ? slots[pick % slots.length]! : -1;
          if (step === 0) slots.push(keyspace.allocate(slots.length));
          else if (slot < 0) continue;
          else if (step === 1) {
            keyspace.enter(slot);
            live.add(slot);
            taken.delete(slot);
          } else if (step === 2 && live.has(slot)) {
            keyspace.take(slot);
            taken.add(slot);
          } else if (step === 3) {
            keyspace.release(slot);
            taken.delete(slot);
          } else if (step === 4) {
            keyspace.addObstacles(slot, 1);
            references.set(slot, (references.get(slot) ?? 0) + 1);
          } else if (step === 5 && (references.get(slot) ?? 0) > 0) {
            keyspace.addObstacles(slot, -1);
            references.set(slot, references.get(slot)! - 1);
          }
          for (const each of slots) {
            expect(keyspace.live.has(each)).toBe(live.has(each));
            expect(keyspace.idle.has(each)).toBe(live.has(each) && !taken.has(each));
            expect(keyspace.removable.has(each)).toBe(
              live.has(each) && !taken.has(each) && (references.get(each) ?? 0) === 0,
            );
          }
        }
      }),
    );
  });
});
