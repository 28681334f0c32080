import type { Plan } from './plan.js';

/**
 * Returns relations in an order in which referenced ones come first: by all foreign keys, or only by those that must
 * not be NULL (`needed`). Relations of a circle are in the plan's order.
 */
export function parentsFirst(plan: Plan, keys: 'all' | 'needed'): number[] {
  const order: number[] = [];
  const state = new Uint8Array(plan.relations.length);
  // An explicit stack, because chains of foreign keys can be longer than the call stack allows.
  for (let root = 0; root < plan.relations.length; root++) {
    const stack = [root];
    while (stack.length > 0) {
      const relation = stack[stack.length - 1]!;
      if (state[relation] === 0) {
        state[relation] = 1;
        for (const { parent, nullable } of plan.relations[relation]!.foreignKeys)
          if ((keys === 'all' || !nullable) && state[parent] === 0) stack.push(parent);
      } else {
        stack.pop();
        if (state[relation] === 1) {
          state[relation] = 2;
          order.push(relation);
        }
      }
    }
  }
  return order;
}
