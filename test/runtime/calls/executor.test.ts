import { describe, expect, it } from 'vitest';
import type { Endpoint, EndpointJob, EndpointReply } from '../../../src/endpoints/endpoint.ts';
import { type IModelOptions, iModel } from '../../../src/index.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { rejection, TimedEndpoint } from '../../acceptance/timed-endpoint.ts';

const view = { text: 'late', thinking: '', toolUses: [], finishReason: null, usage: null };

/** An iModel whose endpoint runs calls as the test says. */
function modelThat(
  run: (job: EndpointJob) => Promise<EndpointReply>,
  options: IModelOptions = {},
  stopGraceMs?: number,
) {
  const clock = new VirtualClock();
  const base = new TimedEndpoint(clock);
  const endpoint: Endpoint = {
    config: base.config,
    isCli: false,
    requestOptions: null,
    transportFields: [],
    prepare: (request) => ({ ...request }),
    estimateTokens: () => 0,
    run,
    close: async () => {},
    ...(stopGraceMs === undefined ? {} : { stopGraceMs }),
  };
  const model = new iModel({ endpoint, clock, windowMargin: 0, retry: null, ...options });
  const events: string[] = [];
  model.observe(({ type }) => events.push(type));
  return { clock, model, events };
}

describe('an endpoint of somebody else', () => {
  it.each([
    ['resolves with nothing', async () => undefined],
    ['resolves with null', async () => null],
    ['resolves with a reply without a view', async () => ({ response: 'ok' })],
    ['rejects with a text', async () => Promise.reject('no luck')],
    ['rejects with nothing', async () => Promise.reject()],
  ])('that %s fails its call and no other', async (_name, run) => {
    const { model } = modelThat(run as () => Promise<never>);
    const call = await model.invoke({});
    expect(call).toMatchObject({ status: 'failed', failure: { code: 'internal' } });
    expect(model.state).toMatchObject({ running: 0, mode: 'idle' });
    expect(await model.invoke({})).toMatchObject({ status: 'failed' });
  });

  it('that throws at once fails its call', async () => {
    const { model } = modelThat(() => {
      throw new RangeError('not today');
    });
    const call = await model.invoke({});
    expect(call).toMatchObject({ status: 'failed', failure: { message: 'not today' } });
    expect((call.error as Error).cause).toBeInstanceOf(RangeError);
  });

  it('that says twice, and after the end, that it is answered makes one event of it', async () => {
    const { model, events } = modelThat(async (job) => {
      for (let n = 0; n < 2; n += 1) {
        job.sent();
        job.answered();
      }
      setImmediate(() => {
        job.sent();
        job.answered();
      });
      return { response: 'ok', view };
    });
    await model.invoke({});
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(events).toEqual(['created', 'pre_invocation', 'answered', 'post_invocation']);
  });

  it('that brings its reply after the grace time changes nothing any more', async () => {
    let reply = (_reply: EndpointReply): void => {};
    const { model, clock, events } = modelThat(() => new Promise((resolve) => (reply = resolve)));
    const outcome = rejection(model.invoke({}, { timeoutMs: 1_000 }));
    await clock.advance(6_000);
    const { call } = (await outcome) as { call?: { toDict(): unknown; response: unknown } };
    const dict = call?.toDict();
    reply({ response: 'late', view, sessionId: 'late' });
    await clock.advance(1);
    expect(call?.toDict()).toEqual(dict);
    expect(call?.response).toBeNull();
    expect(events.filter((type) => type === 'post_invocation')).toHaveLength(1);
    expect(model.state.counters).toMatchObject({ aborted: 1, completed: 0 });
    expect(clock.timers).toBe(0);
  });

  it('that asks for more time to stop gets it', async () => {
    const { model, clock } = modelThat(() => new Promise(() => {}), {}, 20_000);
    const outcome = rejection(model.invoke({}, { timeoutMs: 1_000 }));
    await clock.advance(20_999);
    expect(model.state.running).toBe(1);
    await clock.advance(1);
    expect((await outcome).code).toBe('timed_out');
  });

  it('that completes although it was told to stop leaves its call cancelled', async () => {
    const { model } = modelThat(
      (job) =>
        new Promise((resolve) => job.signal.addEventListener('abort', () => resolve({ response: 'done', view }))),
    );
    const controller = new AbortController();
    const outcome = rejection(model.invoke({}, { signal: controller.signal }));
    controller.abort();
    expect((await outcome).call).toMatchObject({ status: 'cancelled' });
  });

  it('hears why it must stop, from a signal made before or after', async () => {
    const reasons: unknown[] = [];
    const { model } = modelThat(async (job) => {
      await new Promise((resolve) => job.signal.addEventListener('abort', resolve));
      reasons.push((job.signal.reason as { code: string }).code, job.signal.aborted);
      throw job.signal.reason;
    });
    const outcome = rejection(model.invoke({}));
    await model.close();
    expect((await outcome).code).toBe('closed');
    expect(reasons).toEqual(['closed', true]);
  });

  it('names the session of its reply', async () => {
    const { model } = modelThat(async () => ({ response: null, view, sessionId: 'session-1' }));
    await model.invoke({});
    expect(model.providerSessionId).toBe('session-1');
  });
});
