import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Due, DueHeap } from '../../../actors/policy/heap.ts';

it('always shows the earliest of what was put in, moved and taken out', () => {
  const step = fc.tuple(fc.constantFrom('push', 'move', 'remove'), fc.nat({ max: 30 }), fc.nat({ max: 1_000 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const heap = new DueHeap<Due>();
      const inside: Due[] = [];
      for (const [action, pick, dueAt] of steps) {
        const item = inside[pick % Math.max(1, inside.length)];
        if (action === 'push') {
          const fresh: Due = { dueAt, heapIndex: -1 };
          heap.push(fresh);
          inside.push(fresh);
        } else if (item !== undefined && action === 'move') {
          heap.move(item, dueAt);
        } else if (item !== undefined) {
          heap.remove(item);
          heap.remove(item);
          inside.splice(inside.indexOf(item), 1);
        }
        expect(heap.nextAt).toBe(Math.min(...inside.map((due) => due.dueAt)));
        expect(heap.size).toBe(inside.length);
      }
    }),
  );
});
