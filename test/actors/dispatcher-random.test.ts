import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasEnded } from '../../actors/call.ts';
import { DispatcherBench, limitsOf } from './dispatcher-bench.ts';

describe('the dispatcher: whatever comes in whatever order', () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('submit' as const), by: fc.nat(2), tokens: fc.nat(12), wait: fc.nat(3) }),
    },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('settle' as const), pick: fc.nat(50) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('end' as const), pick: fc.nat(50) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat(700) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('gate.open' as const, 'gate.shut' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('tokens' as const), limit: fc.integer({ min: 1, max: 14 }) }) },
  );
  const settings = fc.record({
    queueCapacity: fc.integer({ min: 1, max: 4 }),
    concurrency: fc.option(fc.integer({ min: 1, max: 3 })),
    onFull: fc.constantFrom('wait' as const, 'reject' as const),
    window: fc.record({ requests: fc.option(fc.integer({ min: 1, max: 3 })), tokens: fc.integer({ min: 1, max: 14 }) }),
  });

  it('keeps every limit, ends every call exactly once, and leaves nothing behind', () => {
    fc.assert(
      fc.property(settings, fc.array(step, { maxLength: 80 }), (limits, steps) => {
        const bench = new DispatcherBench(limits);
        let submitted = 0;
        const check = () => {
          const { running, waiting, outside, blocked } = bench.view;
          expect(running).toBeLessThanOrEqual(limits.concurrency ?? Number.POSITIVE_INFINITY);
          expect(waiting).toBeLessThanOrEqual(limits.queueCapacity);
          if (outside > 0) expect(waiting).toBe(limits.queueCapacity);
          if (waiting > 0) expect(blocked).not.toBeNull();
          expect(running + waiting + outside).toBe(bench.live.length);
          expect(bench.failures.size + bench.live.length).toBe(submitted);
          // Whoever waits for the rate has a timer to wake up to.
          if (blocked === 'rate') expect(bench.clock.timers).toBe(1);
        };
        const running = () => bench.live.filter((id) => bench.status(id) === 'processing');
        for (const event of steps) {
          switch (event.do) {
            case 'submit': {
              const id = `c${submitted}`;
              submitted += 1;
              const now = bench.clock.now();
              bench.submit(id, {
                caller: String(event.by),
                priority: event.by,
                weight: 1 + (event.by & 3),
                tokens: event.tokens,
                ...(event.wait === 1 ? { deadlineAt: now + 900 } : {}),
                ...(event.wait === 2 ? { queueDeadlineAt: now + 300 } : {}),
              });
              break;
            }
            case 'settle': {
              const ids = running();
              const id = ids[event.pick % Math.max(1, ids.length)];
              if (id !== undefined) bench.settle(id, event.pick % 3 === 0 ? null : event.pick % 20);
              break;
            }
            case 'end': {
              const id = bench.live[event.pick % Math.max(1, bench.live.length)];
              if (id !== undefined) bench.end(id);
              break;
            }
            case 'advance':
              bench.advance(event.ms);
              break;
            case 'tokens': {
              const window = limitsOf(limits).window;
              bench.send({ type: 'limits.set', limits: { window: { ...window, tokens: event.limit } } });
              break;
            }
            default:
              bench.send({ type: event.do });
          }
          check();
        }
        bench.send({ type: 'gate.open' });
        for (let round = 0; bench.live.length > 0 && round < 500; round += 1) {
          for (const id of running()) bench.settle(id);
          bench.advance(1_000);
          check();
        }
        expect(bench.failures.size).toBe(submitted);
        for (let n = 0; n < submitted; n += 1) expect(hasEnded(bench.row(`c${n}`).state)).toBe(true);
        bench.expectEmpty();
      }),
      { numRuns: 300 },
    );
  });
});
