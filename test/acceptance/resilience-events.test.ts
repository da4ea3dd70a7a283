import { describe, expect, it } from 'vitest';
import { type ModelEventMessage, modelEvent } from '../../schemas/event.ts';
import { failureOf } from '../../schemas/failure.ts';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { createMemoryBus, type Fields, iModel, subjects } from '../../src/index.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { TimedEndpoint, timedModel } from './timed-endpoint.ts';

const down = failureOf('unavailable', 'no connection', {});
const slowDown = failureOf('rate_limited', 'slow down', { status: 429, retryAfterMs: 2_000 });

/** Answers whatever it is asked. */
class StandIn extends TimedEndpoint {
  override prepare(): Fields {
    return { chunks: ['from the stand-in'] };
  }
}

/** A served model on virtual time, and what its observers on the bus hear. */
async function served(options: IModelOptions) {
  const bus = createMemoryBus();
  const timed = timedModel({ id: 'm', ...options });
  const events: ModelEventMessage[] = [];
  bus.subscribe(subjects.everyEvent('m'), (message) => {
    events.push(modelEvent.parse(message.value()));
  });
  timed.model.serve(bus);
  await bus.flush();
  return {
    ...timed,
    events,
    types: () => events.map(({ type }) => type),
    async [Symbol.asyncDispose]() {
      await timed.model.close();
      await bus.close();
    },
  };
}

describe('observers on the bus', () => {
  it('see each further attempt, with the failure, the delay and the count', async () => {
    await using bench = await served({ retry: { maxRetries: 2, baseDelay: 1, jitter: false } });
    bench.at(0, { failure: down });
    await bench.until(10);
    const { events } = bench;
    expect(events.filter(({ type }) => type === 'retrying')).toMatchObject([
      { at: 0, attempts: 1, delay_ms: 1_000, failure: { code: 'unavailable' } },
      { at: 1_000, attempts: 2, delay_ms: 2_000, failure: { code: 'unavailable' } },
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'post_invocation', at: 3_000, status: 'failed', attempts: 3 });
    expect(new Set(events.map(({ call_id: id }) => id)).size).toBe(1);
  });

  it('see the model cool and go on', async () => {
    await using bench = await served({ retry: { maxRetries: 0 } });
    bench.at(0, { failure: slowDown });
    bench.at(1, {});
    await bench.until(5);
    expect(bench.events.filter(({ type }) => type === 'cooling' || type === 'cooled')).toMatchObject([
      { type: 'cooling', at: 1_000 },
      { type: 'cooled', at: 2_000 },
    ]);
    expect(bench.events.at(-1)).toMatchObject({ type: 'post_invocation', status: 'completed', wait_ms: 1_000 });
  });

  it('see the breaker open, try and close', async () => {
    await using bench = await served({ breaker: { failureThreshold: 2, recoveryTime: 10 } });
    bench.at(0, { failure: down });
    bench.at(1, { failure: down });
    bench.at(2, {});
    bench.at(12, { takesMs: 500 });
    await bench.until(20);
    expect(bench.events.filter(({ call_id: id }) => id === undefined)).toMatchObject([
      { type: 'tripped', at: 1_000 },
      { type: 'trial', at: 12_000 },
      { type: 'recovered', at: 12_500 },
    ]);
    const ends = bench.events.filter(({ type }) => type === 'post_invocation');
    expect(ends.map(({ failure }) => failure?.code)).toEqual(['unavailable', 'unavailable', 'circuit_open', undefined]);
  });

  it('see a call handed to another model', async () => {
    const fallback = new iModel({ endpoint: new StandIn(new VirtualClock()) });
    await using bench = await served({ fallbacks: [fallback], retry: { maxRetries: 1, baseDelay: 1, jitter: false } });
    bench.at(0, { failure: down });
    await bench.until(5);
    expect(bench.types()).toEqual(['created', 'pre_invocation', 'retrying', 'falling_back', 'post_invocation']);
    expect(bench.events.at(3)).toMatchObject({ at: 1_000, attempts: 2, failure: { code: 'unavailable' } });
    expect(bench.events.at(4)).toMatchObject({ status: 'completed', attempts: 2 });
    expect(await bench.outcomes[0]).toMatchObject({ text: 'from the stand-in', attempts: 2 });
  });

  it('see nothing of it when nothing is wrong', async () => {
    await using bench = await served({ retry: {}, breaker: {} });
    bench.at(0, {});
    await bench.until(1);
    expect(bench.types()).toEqual(['created', 'pre_invocation', 'answered', 'post_invocation']);
  });
});
