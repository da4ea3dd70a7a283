import { describe, expect, it, onTestFinished } from 'vitest';
import { createEndpoint } from '../../src/providers/create.ts';
import { serveEndpoint } from '../../src/runtime/serving/serve-endpoint.ts';
import type { Upstream, UpstreamHandler } from '../../src/testing/upstream.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';
import { chatModel, type OpenGateway, openGateway, openRequest, openUpstream, until } from './open-gateway.ts';

const messages = [{ role: 'user', content: 'hello' }];
const paths = ['/v1/chat/completions', '/v1/messages', '/v1/responses'] as const;

/** A request that every path understands in its own way. */
function bodyFor(path: string, stream: boolean): Record<string, unknown> {
  const common = { model: 'm', stream };
  return path === '/v1/responses' ? { ...common, input: 'hello' } : { ...common, messages, max_tokens: 10 };
}

/** How the gateway's iModel reaches its upstream: from its own process, or through an endpoint that another one serves on NATS. */
const transports = {
  'in process': async (upstream: Upstream, options = {}) => openGateway({ m: chatModel(upstream, options) }),
  'over NATS': async (upstream: Upstream, options = {}) => {
    const [host, bus] = await Promise.all([connectTestBus(), connectTestBus()]);
    const endpointName = uniqueId();
    const endpoint = createEndpoint({
      provider: 'openai',
      model: 'm',
      apiKey: 'sk-upstream',
      baseUrl: `${upstream.url}/v1`,
    });
    const served = serveEndpoint(endpoint, endpointName, host);
    await host.flush();
    // Runs after the gateway is gone.
    onTestFinished(async () => {
      await served.close();
      await Promise.all([host.close(), bus.close()]);
    });
    return openGateway({ m: { provider: 'openai', endpoint: 'remote', endpointName, ...options } }, {}, { bus });
  },
} as const;

/** Where a call can stand when its caller leaves. */
interface Phase {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly upstream: UpstreamHandler;
  /** Brings the call there. */
  arrange?(gateway: OpenGateway): Promise<void> | void;
  readonly reached: (gateway: OpenGateway, upstream: Upstream) => boolean;
  /** How many requests the upstream has had when all is over. */
  readonly requests: number;
}

const silent: UpstreamHandler = () => {};

const phases: Readonly<Record<string, Phase>> = {
  'that waits in the queue': {
    upstream: silent,
    arrange: ({ runtime }) => runtime.models.get('m')?.pause(),
    reached: (gateway) => stateOf(gateway).queue.waiting === 1,
    requests: 0,
  },
  'that waits for the limit on requests': {
    options: { limitRequests: 1, interval: 30 },
    upstream: (_request, reply) =>
      reply.json({ choices: [{ index: 0, message: { role: 'assistant', content: 'a' } }] }),
    arrange: async ({ runtime }) => {
      await runtime.models.get('m')?.invoke({ messages });
    },
    reached: (gateway) => stateOf(gateway).queue.waiting === 1,
    requests: 1,
  },
  'that waits for the first byte': {
    upstream: silent,
    reached: (_gateway, upstream) => upstream.requests.length > 0,
    requests: 1,
  },
  'in the middle of an answer': {
    upstream: async (_request, reply) => {
      await reply.events([{ id: 'c', choices: [{ index: 0, delta: { content: 'a' }, finish_reason: null }] }]);
    },
    reached: (_gateway, upstream) => upstream.requests.length > 0,
    requests: 1,
  },
  'between two attempts': {
    options: { retry: { maxRetries: 5, baseDelay: 30, jitter: false } },
    upstream: (_request, reply) => reply.json({ error: { message: 'busy' } }, 503),
    reached: (gateway) => stateOf(gateway).backing_off === 1,
    requests: 1,
  },
};

function stateOf({ runtime }: OpenGateway) {
  const state = runtime.models.get('m')?.state;
  if (state === undefined) throw new Error('The iModel is gone');
  return state;
}

describe.each(Object.entries(transports))(
  'a caller who leaves, before an upstream reached %s',
  (_transport, openBefore) => {
    for (const [name, phase] of Object.entries(phases)) {
      for (const path of paths) {
        it.each([false, true])(`takes back the call ${name}: ${path}, stream: %s`, async (stream) => {
          const upstream = await openUpstream(phase.upstream);
          const gateway = await openBefore(upstream, phase.options);
          await phase.arrange?.(gateway);
          const { request, answered } = openRequest(gateway.url + path, bodyFor(path, stream));
          await until(() => phase.reached(gateway, upstream));
          // A streamed answer has begun when its head is there.
          if (stream && name === 'in the middle of an answer') (await answered).on('error', () => {});
          request.on('error', () => {});
          request.destroy();
          await until(() => stateOf(gateway).counters.cancelled === 1);
          expect(stateOf(gateway)).toMatchObject({ running: 0, queue: { waiting: 0, outside: 0 } });
          expect(upstream.requests).toHaveLength(phase.requests);
          // Whatever was sent and not answered in full has lost its connection.
          if (phase.upstream === silent || name === 'in the middle of an answer') await upstream.requests[0]?.closed;
        });
      }
    }
  },
);

describe('OpenAI’s client that aborts', () => {
  it.each([false, true])('closes the upstream’s connection (stream: %s)', async (stream) => {
    const upstream = await openUpstream(phases['in the middle of an answer']?.upstream ?? silent);
    const gateway = await openGateway({ m: chatModel(upstream) });
    const controller = new AbortController();
    const body = { model: 'm', messages: [{ role: 'user' as const, content: 'hello' }], stream };
    const asked = gateway.openai.chat.completions.create(body, { signal: controller.signal });
    const read = async (): Promise<void> => {
      for await (const _chunk of (await asked) as AsyncIterable<unknown>) controller.abort();
    };
    const left = stream ? read() : asked;
    // What an abort does to its reader is the client's affair.
    const settled = Promise.resolve(left).catch((error: unknown) => error);
    const request = await upstream.request(0);
    if (!stream) controller.abort();
    await settled;
    await request.closed;
    await until(() => stateOf(gateway).counters.cancelled === 1);
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
