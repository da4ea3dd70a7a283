import { describe, expect, it } from 'vitest';
import type { Upstream } from '../../src/testing/upstream.ts';
import { chatModel, type OpenGateway, openGateway, openRequest, openUpstream, until } from './open-gateway.ts';

const messages = [{ role: 'user', content: 'hello' }];
const paths = ['/v1/chat/completions', '/v1/messages', '/v1/responses'] as const;

/** A request that every path understands in its own way. */
function bodyFor(path: string, stream: boolean): Record<string, unknown> {
  const common = { model: 'm', stream };
  return path === '/v1/responses' ? { ...common, input: 'hello' } : { ...common, messages, max_tokens: 10 };
}

/** Where a call can stand when its caller leaves: how its upstream behaves, and when it stands there. */
const phases = {
  'waiting for the first byte': {
    upstream: () => openUpstream(() => {}),
    reached: (upstream: Upstream) => upstream.requests.length > 0,
  },
  'in the middle of an answer': {
    upstream: () =>
      openUpstream(async (_request, reply) => {
        await reply.events([{ id: 'c', choices: [{ index: 0, delta: { content: 'a' }, finish_reason: null }] }]);
      }),
    reached: (upstream: Upstream) => upstream.requests.length > 0,
  },
} as const;

function stateOf({ runtime }: OpenGateway) {
  const state = runtime.models.get('m')?.state;
  if (state === undefined) throw new Error('The iModel is gone');
  return state;
}

describe.each(paths)('a caller of %s who leaves', (path) => {
  for (const [phase, { upstream: open, reached }] of Object.entries(phases)) {
    it.each([false, true])(`cancels the call that is ${phase} (stream: %s)`, async (stream) => {
      const upstream = await open();
      const gateway = await openGateway({ m: chatModel(upstream) });
      const { request, answered } = openRequest(gateway.url + path, bodyFor(path, stream));
      await until(() => reached(upstream));
      // A streamed answer has begun when its head is there.
      if (stream && phase === 'in the middle of an answer') (await answered).on('error', () => {});
      request.on('error', () => {});
      request.destroy();
      await upstream.requests[0]?.closed;
      await until(() => stateOf(gateway).counters.cancelled === 1);
      expect(stateOf(gateway)).toMatchObject({ running: 0, queue: { waiting: 0 } });
    });
  }

  it.each([false, true])('cancels the call that waits in the queue (stream: %s)', async (stream) => {
    const upstream = await openUpstream(() => {});
    const gateway = await openGateway({ m: chatModel(upstream) });
    gateway.runtime.models.get('m')?.pause();
    const { request } = openRequest(gateway.url + path, bodyFor(path, stream));
    await until(() => stateOf(gateway).queue.waiting === 1);
    request.on('error', () => {});
    request.destroy();
    await until(() => stateOf(gateway).counters.cancelled === 1);
    gateway.runtime.models.get('m')?.resume();
    expect(stateOf(gateway)).toMatchObject({ queue: { waiting: 0 } });
    expect(upstream.requests).toHaveLength(0);
  });

  it.each([false, true])('cancels the call that waits between two attempts (stream: %s)', async (stream) => {
    const upstream = await openUpstream((_request, reply) => reply.json({ error: { message: 'busy' } }, 503));
    const retry = { maxRetries: 5, baseDelay: 30, jitter: false };
    const gateway = await openGateway({ m: chatModel(upstream, { retry }) });
    const { request } = openRequest(gateway.url + path, bodyFor(path, stream));
    await until(() => stateOf(gateway).backing_off === 1);
    request.on('error', () => {});
    request.destroy();
    await until(() => stateOf(gateway).counters.cancelled === 1);
    expect(upstream.requests).toHaveLength(1);
  });
});

describe('a caller who stays', () => {
  it('is not taken for one who left when it uses its connection again', async () => {
    const gateway = await openGateway({ m: { model: 'scripted/echo' } });
    for (let index = 0; index < 20; index += 1) {
      const response = await gateway.post('/v1/chat/completions', { model: 'm', messages, stream: index % 2 === 0 });
      expect(await response.text()).toContain('hello');
    }
    expect(stateOf(gateway).counters).toMatchObject({ completed: 20, cancelled: 0 });
  });

  it('has its call cancelled when it reads nothing for too long', async () => {
    const piece = { id: 'c', choices: [{ index: 0, delta: { content: 'x'.repeat(65_536) }, finish_reason: null }] };
    const upstream = await openUpstream(async (_request, reply) => {
      do await reply.events([piece]);
      while (!reply.raw.destroyed);
    });
    const gateway = await openGateway({ m: chatModel(upstream) }, { slowReaderTimeout: 0.2 });
    const body = { model: 'm', messages, stream: true };
    const { answered } = openRequest(`${gateway.url}/v1/chat/completions`, body);
    const answer = await answered;
    answer.on('error', () => {});
    answer.pause();
    await until(() => stateOf(gateway).counters.cancelled === 1);
    await upstream.requests[0]?.closed;
  });
});
