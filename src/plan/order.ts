import type { Plan } from './plan.js';

/**
 * Relations so that those which a row references come first: by all foreign keys, or by those alone that must not be
 * NULL (`needed`). Within a circle, in the plan's order.
 */
export function parentsFirst(plan: Plan, keys: 'all' | 'needed'): number[] {
  const order: number[] = [];
  const state = new Uint8Array(plan.relations.length);
  // An explicit stack: chains of foreign keys can be longer than the call stack is deep.
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
