import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CallerLine, FairQueue, type QueueEntry } from '../../../actors/policy/queue.ts';

class Entry implements QueueEntry<Entry> {
  readonly name: string;
  readonly caller: string;
  readonly priority: number;
  readonly cost: number;
  readonly weight: number;
  next: Entry | null = null;
  previous: Entry | null = null;
  line: CallerLine<Entry> | null = null;

  constructor(name: string, { caller = '', priority = 0, cost = 1, weight = 1 } = {}) {
    this.name = name;
    this.caller = caller;
    this.priority = priority;
    this.cost = cost;
    this.weight = weight;
  }
}

const drain = (queue: FairQueue<Entry>): string[] => {
  const names: string[] = [];
  for (let entry = queue.shift(); entry !== null; entry = queue.shift()) names.push(entry.name);
  return names;
};

const fill = (entries: readonly Entry[]): FairQueue<Entry> => {
  const queue = new FairQueue<Entry>();
  for (const entry of entries) queue.push(entry);
  return queue;
};

describe('FairQueue', () => {
  it('is first in, first out with one caller and one priority, whatever the costs', () => {
    const costs = fc.array(fc.integer({ min: 1, max: 1_000 }), { maxLength: 200 });
    fc.assert(
      fc.property(costs, (list) => {
        const entries = list.map((cost, index) => new Entry(String(index), { cost }));
        expect(drain(fill(entries))).toEqual(entries.map(({ name }) => name));
      }),
    );
  });

  it('serves higher priorities first', () => {
    const queue = fill([new Entry('low', { priority: -1 }), new Entry('plain'), new Entry('high', { priority: 10 })]);
    expect(drain(queue)).toEqual(['high', 'plain', 'low']);
  });

  it('gives callers turns, so that one with many calls does not hold up one with few', () => {
    const many = Array.from({ length: 5 }, (_, index) => new Entry(`a${index}`, { caller: 'a' }));
    const few = [new Entry('b0', { caller: 'b' }), new Entry('b1', { caller: 'b' })];
    expect(drain(fill([...many, ...few]))).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'a3', 'a4']);
  });

  it('forgets how dear an entry was once nobody waits, and bears with one that became dearer', () => {
    const entries = ['a', 'a', 'a', 'b'].map((caller, index) => new Entry(`${caller}${index}`, { caller }));
    const queue = fill([new Entry('dear', { caller: 'a', cost: 1e12 })]);
    queue.shift();
    for (const entry of entries) queue.push(entry);
    Object.assign(entries[1] as Entry, { cost: 1e12 });
    expect(drain(queue)).toEqual(['a0', 'b3', 'a1', 'a2']);
  });

  it('shares by cost: a caller of dear calls gets fewer of them', () => {
    const dear = Array.from({ length: 10 }, (_, index) => new Entry(`dear${index}`, { caller: 'dear', cost: 4 }));
    const cheap = Array.from({ length: 40 }, (_, index) => new Entry(`cheap${index}`, { caller: 'cheap' }));
    const served = drain(fill([...dear, ...cheap])).slice(0, 25);
    expect(served.filter((name) => name.startsWith('dear'))).toHaveLength(5);
    expect(served.filter((name) => name.startsWith('cheap'))).toHaveLength(20);
  });

  it('gives callers shares by their weight, while both wait', () => {
    const weights = fc.record({ a: fc.integer({ min: 1, max: 10 }), b: fc.integer({ min: 1, max: 10 }) });
    const costs = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 7 });
    fc.assert(
      fc.property(weights, costs, (weight, list) => {
        const entries = Array.from({ length: 4_000 }, (_, index) => {
          const caller = index % 2 === 0 ? 'a' : 'b';
          return new Entry(String(index), { caller, weight: weight[caller], cost: list[index % list.length] ?? 1 });
        });
        const queue = fill(entries);
        const served = { a: 0, b: 0 };
        for (let taken = 0; taken < 2_000; taken += 1) {
          const entry = queue.shift() as Entry;
          served[entry.caller as 'a' | 'b'] += entry.cost;
        }
        // Neither is ever ahead of its share by more than its turn and one entry.
        const lead = Math.abs(served.a / weight.a - served.b / weight.b);
        expect(lead).toBeLessThanOrEqual(3 * Math.max(...list));
      }),
      { numRuns: 30 },
    );
  });

  it('gives a caller of weight 3 three in four, and keeps its shares when it is written and restored', () => {
    const entries = Array.from({ length: 80 }, (_, index) =>
      index % 2 === 0
        ? new Entry(`big${index}`, { caller: 'big', weight: 3 })
        : new Entry(`small${index}`, { caller: 'small' }),
    );
    const queue = fill(entries);
    const first = Array.from({ length: 20 }, () => queue.shift()?.caller);
    expect(first.filter((caller) => caller === 'big')).toHaveLength(15);
    const restored = new FairQueue<Entry>();
    const left = [...queue];
    const lanes = queue.write();
    for (const entry of left) queue.remove(entry);
    restored.restore(lanes, left);
    const next = Array.from({ length: 20 }, () => restored.shift()?.caller);
    expect(next.filter((caller) => caller === 'big')).toHaveLength(15);
  });

  it('shows the same head until it is taken', () => {
    const queue = fill([new Entry('a', { caller: 'a', cost: 3 }), new Entry('b', { caller: 'b' })]);
    const head = queue.peek();
    expect(queue.peek()).toBe(head);
    queue.push(new Entry('c', { caller: 'c', cost: 9 }));
    expect(queue.peek()).toBe(head);
    expect(queue.shift()).toBe(head);
  });

  it('loses and invents nothing, and keeps each caller in order, whatever is pushed, taken and removed', () => {
    const step = fc.oneof(
      fc.record({
        caller: fc.constantFrom('a', 'b', 'c'),
        priority: fc.integer({ min: -1, max: 1 }),
        cost: fc.integer({ min: 1, max: 9 }),
      }),
      fc.constant('shift' as const),
      fc.nat({ max: 50 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const queue = new FairQueue<Entry>();
        const model: Entry[] = [];
        let made = 0;
        for (const action of steps) {
          if (action === 'shift') {
            const expectedPriority = Math.max(...model.map(({ priority }) => priority));
            const taken = queue.shift();
            if (model.length === 0) {
              expect(taken).toBeNull();
              continue;
            }
            expect(taken?.priority).toBe(expectedPriority);
            const first = model.find((entry) => entry.caller === taken?.caller && entry.priority === taken?.priority);
            expect(taken).toBe(first);
            model.splice(model.indexOf(taken as Entry), 1);
          } else if (typeof action === 'number') {
            const victim = model[action % Math.max(1, model.length)];
            if (victim === undefined) continue;
            queue.remove(victim);
            queue.remove(victim);
            model.splice(model.indexOf(victim), 1);
          } else {
            made += 1;
            const entry = new Entry(String(made), action);
            queue.push(entry);
            model.push(entry);
          }
          expect(queue.size).toBe(model.length);
        }
        expect(new Set(queue)).toEqual(new Set(model));
      }),
    );
  });
});
