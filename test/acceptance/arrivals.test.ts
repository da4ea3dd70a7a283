import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IModelOptions } from '../../src/index.ts';
import { type Play, timedModel } from './timed-endpoint.ts';

/** A call on its way to the model. */
interface Arrival extends Play {
  /** Milliseconds after the one before. */
  readonly gap: number;
}

/** One start: when, and what it took of the limits. */
interface Start {
  readonly at: number;
  readonly units: number;
}

/** Sends all arrivals through one model, to the end, and says when each started, in the order of arrival. */
async function serve(options: IModelOptions, arrivals: readonly Arrival[]): Promise<Start[]> {
  const timed = timedModel({ queueCapacity: arrivals.length, ...options });
  for (const [index, { gap, ...play }] of arrivals.entries()) {
    if (gap > 0) await timed.clock.advance(gap);
    timed.at(0, { ...play, name: String(index) });
  }
  while (timed.model.state.running + timed.model.state.queue.waiting > 0) await timed.clock.advance(60_000);
  const calls = await Promise.all(timed.outcomes);
  for (const call of calls) expect(call).toMatchObject({ status: 'completed' });
  expect(timed.endpoint.names).toEqual(arrivals.map((_, index) => String(index)));
  expect(timed.clock.timers).toBe(0);
  return timed.endpoint.starts.map(({ at }, index) => {
    const { tokens = 0, usedTokens = tokens } = arrivals[index] ?? { gap: 0 };
    return { at, units: usedTokens };
  });
}

/** The most units that any interval [t, t + windowMs) holds; it is enough to look at those that begin with a start. */
function mostInWindow(starts: readonly Start[], windowMs: number, unitsOf: (start: Start) => number): number {
  let most = 0;
  let sum = 0;
  let first = 0;
  for (const start of starts) {
    sum += unitsOf(start);
    for (let oldest = starts[first]; oldest !== undefined && oldest.at <= start.at - windowMs; oldest = starts[first]) {
      sum -= unitsOf(oldest);
      first += 1;
    }
    most = Math.max(most, sum);
  }
  return most;
}

const one = (): number => 1;
const tokensOf = ({ units }: Start): number => units;
const seconds = fc.integer({ min: 5, max: 300 }).map((tenths) => tenths / 10);

describe('random arrivals through a whole iModel', () => {
  it('37. given 500 random arrivals and 2 per 1 s, then no interval [t, t+1) holds more than 2 starts and order is FIFO', async () => {
    const arrival = fc.record({ gap: fc.nat({ max: 900 }), takesMs: fc.nat({ max: 3_000 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(arrival, { minLength: 500, maxLength: 500 }), async (arrivals) => {
        const starts = await serve({ limitRequests: 2, interval: 1 }, arrivals);
        expect(mostInWindow(starts, 1_000, one)).toBeLessThanOrEqual(2);
      }),
      { numRuns: 4 },
    );
  }, 60_000);

  it('37. whatever the limit, the window and the margin, no window holds more starts than the limit, wherever it starts', async () => {
    const setting = fc.record({
      limitRequests: fc.integer({ min: 1, max: 12 }),
      interval: seconds,
      windowMargin: fc.constantFrom(0, undefined),
      concurrencyLimit: fc.option(fc.integer({ min: 1, max: 6 })),
    });
    const arrival = fc.record({
      gap: fc.oneof(
        fc.constant(0),
        fc.nat({ max: 4_000 }),
        fc.nat({ max: 400 }).map((eighths) => eighths / 8),
      ),
      takesMs: fc.nat({ max: 2_000 }),
    });
    await fc.assert(
      fc.asyncProperty(setting, fc.array(arrival, { minLength: 1, maxLength: 60 }), async (options, arrivals) => {
        const starts = await serve(options, arrivals);
        expect(mostInWindow(starts, options.interval * 1_000, one)).toBeLessThanOrEqual(options.limitRequests);
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  it('45. whatever is estimated and used, no window holds more tokens than the limit, wherever it starts', async () => {
    const arrival = fc
      .record({
        gap: fc.oneof(fc.constant(0), fc.nat({ max: 1_500 })),
        tokens: fc.integer({ min: 1, max: 100 }),
        usedShare: fc.double({ min: 0, max: 1, noNaN: true }),
        takesMs: fc.nat({ max: 2_000 }),
      })
      // What was estimated is an upper bound here: tokens used beyond it are known only when they are used.
      .map(({ usedShare, ...rest }) => ({ ...rest, usedTokens: Math.round(rest.tokens * usedShare) }));
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 100, max: 300 }),
        seconds,
        fc.array(arrival, { minLength: 1, maxLength: 60 }),
        async (limitTokens, interval, arrivals) => {
          const starts = await serve({ limitTokens, interval }, arrivals);
          expect(mostInWindow(starts, interval * 1_000, tokensOf)).toBeLessThanOrEqual(limitTokens);
        },
      ),
      { numRuns: 40 },
    );
  }, 60_000);
});

describe('a backlog', () => {
  it('37. is served at 98 % of the request limit or more', async () => {
    const setting = fc.oneof(
      fc.record({
        limitRequests: fc.integer({ min: 1, max: 20 }),
        interval: fc.integer({ min: 1, max: 60 }),
        windowMargin: fc.constant(0),
      }),
      // The margin against jitter costs half a percent of the window.
      fc.record({ limitRequests: fc.integer({ min: 1, max: 20 }), interval: fc.integer({ min: 20, max: 60 }) }),
    );
    await fc.assert(
      fc.asyncProperty(setting, fc.nat({ max: 500 }), async (options, takesMs) => {
        const windows = 8;
        const backlog = Array.from({ length: options.limitRequests * (windows + 1) }, () => ({ gap: 0, takesMs }));
        const starts = await serve(options, backlog);
        const last = starts.at(-1)?.at ?? 0;
        const ideal = windows * options.interval * 1_000;
        expect(ideal / last).toBeGreaterThanOrEqual(0.98);
        expect(mostInWindow(starts, options.interval * 1_000, one)).toBeLessThanOrEqual(options.limitRequests);
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  it('45. of small calls is served at 98 % of the token limit or more', async () => {
    const limitTokens = 1_000;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 5, max: 15 }), { minLength: 400, maxLength: 400 }), async (sizes) => {
        const arrivals = sizes.map((tokens) => ({ gap: 0, tokens, usedTokens: tokens }));
        const starts = await serve({ limitTokens, interval: 10 }, arrivals);
        // Of every full window that the backlog lasts.
        const lastAt = starts.at(-1)?.at ?? 0;
        const windows = Math.floor(lastAt / 10_000);
        const served = starts.filter(({ at }) => at < windows * 10_000).reduce((sum, { units }) => sum + units, 0);
        expect(windows).toBeGreaterThanOrEqual(3);
        expect(served / (windows * limitTokens)).toBeGreaterThanOrEqual(0.98);
        expect(mostInWindow(starts, 10_000, tokensOf)).toBeLessThanOrEqual(limitTokens);
      }),
      { numRuns: 10 },
    );
  }, 60_000);
});
