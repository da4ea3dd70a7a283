import { describe, expect, it } from 'vitest';
import type { Chunk } from '../../schemas/chunk.ts';
import { failureOf } from '../../schemas/failure.ts';
import { iModel } from '../../src/index.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { rejection, TimedEndpoint, timedModel } from '../acceptance/timed-endpoint.ts';

const down = failureOf('unavailable', 'down', {});

describe('a paused model with a call between two attempts', () => {
  it('makes its further attempts when it is drained, and then is closed', async () => {
    const { model, clock, endpoint } = timedModel({ retry: {} });
    const call = model.createApiCalling({ failure: down });
    const done = model.invoke(call);
    await clock.advance(0);
    expect(endpoint.starts).toHaveLength(1);
    Reflect.deleteProperty(call.payload, 'failure');
    model.pause();
    await clock.advance(60_000);
    expect(endpoint.starts).toHaveLength(1);
    const closed = model.close({ drain: true });
    await clock.advance(60_000);
    await closed;
    expect((await done).status).toBe('completed');
    expect(clock.timers).toBe(0);
  });
});

describe('a token limit that is set while calls wait', () => {
  it('counts what they need, though nobody had counted it when they came', async () => {
    const { model, clock, endpoint } = timedModel({ concurrencyLimit: 1, interval: 1 });
    const calls = [10, 10, 10, 50].map((tokens) => model.invoke({ tokens, takesMs: 10 }));
    const tooLarge = rejection(calls[3] as Promise<unknown>);
    await clock.advance(0);
    model.live.control({ action: 'limits', limit_tokens: 15 });
    expect((await tooLarge).failure).toMatchObject({ code: 'estimate_too_large', tokens: 50, limit: 15 });
    await clock.advance(5_000);
    await Promise.all(calls.slice(0, 3));
    expect(endpoint.starts.map(({ at }) => at)).toEqual([0, 10, 1_010]);
    await model.close();
  });
});

describe('a call of another iModel', () => {
  it('is refused while it has not run, by both ways to run one, and can still be run by its own', async () => {
    const { model: maker } = timedModel();
    const { model: other } = timedModel();
    const call = maker.createApiCalling({});
    expect((await rejection(other.invoke(call))).code).toBe('invalid_request');
    expect(() => other.stream(call)).toThrow(/made by another iModel/);
    expect((await maker.invoke(call)).status).toBe('completed');
    expect(await other.invoke(call)).toBe(call);
    expect(other.state.counters.submitted).toBe(0);
  });
});

describe('an endpoint of somebody else', () => {
  it.each([
    [
      'throws',
      () => {
        throw new Error('no estimate');
      },
    ],
    ['answers NaN', () => Number.NaN],
    ['answers less than nothing', () => -1_000],
  ])('that %s when asked for an estimate has it taken for nothing', async (_what, estimateTokens) => {
    const clock = new VirtualClock();
    const endpoint = Object.assign(new TimedEndpoint(clock), { estimateTokens });
    const model = new iModel({ endpoint, clock, limitTokens: 10, windowMargin: 0 });
    expect((await model.invoke({ usedTokens: 3 })).status).toBe('completed');
    expect(model.live.view().usedTokens).toBe(3);
    await model.close();
  });

  it('that reports what is no number of tokens leaves the limit as it was', async () => {
    const { model, clock } = timedModel({ limitTokens: 10, interval: 1 });
    for (const usedTokens of [Number.NaN, Number.POSITIVE_INFINITY, -7]) {
      expect((await model.invoke({ tokens: 2, usedTokens })).status).toBe('completed');
    }
    expect(model.live.view().usedTokens).toBe(6);
    await clock.advance(1_000);
    expect(model.live.view().usedTokens).toBe(0);
    await model.close();
  });
});

describe('a reader of a stream', () => {
  const make = () => {
    const { model, clock, endpoint } = timedModel({ concurrencyLimit: 1 });
    const stream = model.stream({ chunks: ['a', 'b', 'c'], takesMs: 10 });
    return { model, clock, endpoint, stream };
  };
  const expectFreed = async ({ model, clock }: ReturnType<typeof make>): Promise<void> => {
    const next = model.invoke({});
    await clock.advance(0);
    expect((await next).status).toBe('completed');
    await model.close();
    expect(clock.timers).toBe(0);
  };

  it('that throws within the loop frees the slot, and its own error is what it sees', async () => {
    const bench = make();
    const read = (async () => {
      for await (const _chunk of bench.stream) throw new Error('of the reader');
    })();
    const seen = read.catch((error: unknown) => error);
    await bench.clock.advance(10);
    expect(await seen).toMatchObject({ message: 'of the reader' });
    expect(bench.stream.call.status).toBe('cancelled');
    await expectFreed(bench);
  });

  it('that leaves while its next chunk is still awaited ends that waiting too', async () => {
    const bench = make();
    const pending = bench.stream.next();
    const left = bench.stream.return();
    await bench.clock.advance(0);
    expect(await left).toEqual({ value: undefined, done: true });
    expect(await pending).toEqual({ value: undefined, done: true });
    expect(await bench.stream.next()).toEqual({ value: undefined, done: true });
    await expectFreed(bench);
  });

  it('that asks several times at once gets the chunks in their order, each once', async () => {
    const bench = make();
    const asked = Array.from({ length: 6 }, () => bench.stream.next());
    await bench.clock.advance(100);
    const chunks = await Promise.all(asked);
    const texts = chunks.flatMap(({ value }) => (value?.type === 'text' ? [(value as Chunk).content] : []));
    expect(texts).toEqual(['a', 'b', 'c']);
    expect(chunks.at(-1)?.done).toBe(true);
    await expectFreed(bench);
  });

  it('that loses a race against a timer finds the chunk at its next asking', async () => {
    const bench = make();
    const pending = bench.stream.next();
    expect(await Promise.race([pending, Promise.resolve('late')])).toBe('late');
    await bench.clock.advance(100);
    expect((await pending).value).toMatchObject({ type: 'text', content: 'a' });
    expect((await bench.stream.next()).value).toMatchObject({ content: 'b' });
    await bench.stream.return();
    await expectFreed(bench);
  });

  it('that never reads costs nobody anything once the answer is there', async () => {
    const bench = make();
    await bench.clock.advance(100);
    expect(bench.stream.call.status).toBe('completed');
    await expectFreed(bench);
  });

  it('that leaves a stream before it has begun takes the call out of the queue', async () => {
    const bench = make();
    const waiting = bench.model.stream({ chunks: ['x'] });
    await waiting.return();
    expect(waiting.call.status).toBe('cancelled');
    await bench.clock.advance(100);
    expect(bench.endpoint.starts).toHaveLength(1);
    await expectFreed(bench);
  });

  it('hears of a failure once, and then of the end', async () => {
    const { model, clock } = timedModel({ retry: null });
    const stream = model.stream({ failure: down });
    const failed = rejection(stream.next());
    await clock.advance(0);
    expect((await failed).code).toBe('unavailable');
    expect(await stream.next()).toEqual({ value: undefined, done: true });
    await model.close();
  });
});
