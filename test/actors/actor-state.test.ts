import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ActorBench, act, settings, step } from './actor-bench.ts';

describe('the live state of an actor', () => {
  it('goes on from JSON exactly as if it had not been written, whatever came before and comes after', () => {
    fc.assert(
      fc.property(settings, fc.array(step, { maxLength: 60 }), fc.nat(60), (limits, steps, at) => {
        const whole = new ActorBench(limits);
        for (const [index, event] of steps.slice(0, at).entries()) act(whole, event, index);
        const restored = whole.restored(limits);
        expect(restored.regions).toEqual(whole.regions);
        whole.effects.length = 0;
        expect(JSON.stringify(restored.write())).toBe(JSON.stringify(whole.write()));
        for (const [index, event] of steps.slice(at).entries()) {
          act(whole, event, at + index);
          act(restored, event, at + index);
          expect(restored.effects).toEqual(whole.effects);
          expect(JSON.stringify(restored.write())).toBe(JSON.stringify(whole.write()));
          expect(restored.regions).toEqual(whole.regions);
        }
      }),
      { numRuns: 300 },
    );
  });
});
