import { connect } from 'node:net';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { failureCodes } from '../../schemas/failure.ts';
import { connectNats } from '../../src/bus/nats.ts';
import { startGateway } from '../../src/gateway/gateway.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { startServer } from '../integration/private-server.ts';
import { openGateway, openRequest, until } from './open-gateway.ts';

const messages = [{ role: 'user' as const, content: 'hello' }];
const path = '/v1/chat/completions';

async function errorOf(response: Response) {
  const { error } = (await response.json()) as { error: Record<string, unknown> };
  return [response.status, error.type, error.code];
}

/** Sends bytes as they are, and resolves with everything that came back. */
function sendRaw(url: string, ...pieces: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('utf8');
    });
    socket.once('close', () => resolve(text));
    socket.once('error', reject);
    for (const piece of pieces) socket.write(piece);
  });
}

describe('the gateway', () => {
  it('lists its iModels and says how they are', async () => {
    const { url, openai, runtime } = await openGateway({ a: { model: 'scripted/one' }, b: { model: 'scripted/two' } });
    const { data } = await openai.models.list();
    expect(data.map(({ id, owned_by: owner }) => [id, owner])).toEqual([
      ['a', 'scripted'],
      ['b', 'scripted'],
    ]);
    expect(await openai.models.retrieve('b')).toMatchObject({ id: 'b', object: 'model' });
    await expect(openai.models.retrieve('c')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' });
    await runtime.models.get('a')?.close();
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: 'not_ready', imodels: { a: 'closed', b: 'idle' } },
    ]);
  });

  it('is not ready while its bus is away', async () => {
    const nats = await startServer();
    const bus = await connectNats({ servers: nats.url, reconnectMaxMs: 100 });
    const gateway = await startGateway({ models: new Map(), bus }, { port: 0 });
    const ready = async () => {
      const response = await fetch(`${gateway.url}/readyz`);
      return [response.status, await response.json()];
    };
    try {
      expect(await ready()).toEqual([200, { status: 'ready', imodels: {} }]);
      await nats.kill();
      await expect
        .poll(ready)
        .toMatchObject([503, { status: 'not_ready', bus: expect.stringMatching(/^(dis|re)connect/) }]);
      await nats.start();
      await expect.poll(ready, { timeout: 10_000 }).toEqual([200, { status: 'ready', imodels: {} }]);
    } finally {
      await gateway.close();
      await bus.close();
      await nats.stop();
    }
  });

  it('answers each failure with its code’s status', async () => {
    const codes = [
      'rate_limited',
      'overloaded',
      'unavailable',
      'unauthorized',
      'rejected',
      'context_overflow',
      'filtered',
    ] as const;
    const { post } = await openGateway({ demo: { model: 'scripted/echo', failures: [...codes], retry: null } });
    for (const code of codes) {
      const response = await post(path, { model: 'demo', messages });
      expect([code, response.status]).toEqual([code, failureCodes[code].http]);
      expect(response.headers.get('x-should-retry')).toBe(String(failureCodes[code].retryable));
      expect(response.headers.get('imodel-call')).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  it('says what is wrong with a request', async () => {
    const { url, post } = await openGateway({ demo: { model: 'scripted/echo' } }, { bodyLimit: 1_000 });
    const big = { model: 'demo', messages: [{ role: 'user', content: 'x'.repeat(2_000) }] };
    expect(await errorOf(await post(path, { model: 'none', messages }))).toEqual([
      404,
      'invalid_request_error',
      'model_not_found',
    ]);
    expect(await errorOf(await post(path, { messages }))).toEqual([400, 'invalid_request_error', 'invalid_request']);
    expect(await errorOf(await post(path, '{"model":'))).toEqual([400, 'invalid_request_error', 'invalid_request']);
    expect(await errorOf(await post(path, '[]'))).toEqual([400, 'invalid_request_error', 'invalid_request']);
    expect(await errorOf(await post(path, '{"__proto__":{"a":1},"model":"demo"}'))).toEqual([
      400,
      'invalid_request_error',
      'invalid_request',
    ]);
    expect(await errorOf(await post(path, big))).toEqual([413, 'invalid_request_error', 'payload_too_large']);
    expect(await errorOf(await post(path, 'hello', { 'content-type': 'text/plain' }))).toEqual([
      415,
      'invalid_request_error',
      'unsupported_media_type',
    ]);
    expect(await errorOf(await post('/v1/nothing', {}))).toEqual([404, 'invalid_request_error', 'not_found']);
    expect(await errorOf(await fetch(url + path))).toEqual([404, 'invalid_request_error', 'not_found']);
    expect(await errorOf(await post(path, { model: 'demo', messages }, { 'imodel-priority': '99' }))).toEqual([
      400,
      'invalid_request_error',
      'invalid_request',
    ]);
  });

  it('answers no page of another site', async () => {
    const { url } = await openGateway({ demo: { model: 'scripted/echo' } });
    const head = `GET /v1/models HTTP/1.1\r\nconnection: close\r\nhost: `;
    expect(await sendRaw(url, `${head}evil.example:80\r\n\r\n`)).toMatch(/^HTTP\/1\.1 403 .*forbidden_host/s);
    expect(await sendRaw(url, `${head}localhost:80\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
    const preflight = await fetch(url + path, { method: 'OPTIONS', headers: { origin: 'https://evil.example' } });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('survives bytes that are no HTTP, and requests that never end', async () => {
    const { url, post } = await openGateway(
      { demo: { model: 'scripted/echo' } },
      { headersTimeout: 0.5, requestTimeout: 1 },
    );
    expect(await sendRaw(url, '\x16\x03\x01garbage\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await sendRaw(url, `GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );
    expect(await sendRaw(url, 'GET /healthz HTTP/1.1\r\nhost: local')).toMatch(/^HTTP\/1\.1 408 /);
    const unfinished = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{`;
    expect(await sendRaw(url, unfinished)).toMatch(/^HTTP\/1\.1 408 /);
    expect((await post(path, { model: 'demo', messages })).status).toBe(200);
  });
});

describe('an iModel whose limit is used up', () => {
  it('has its callers wait, and tells them how long and how its budget stands', async () => {
    const { post } = await openGateway({ demo: { model: 'scripted/echo', limitRequests: 1, interval: 0.5 } });
    const first = await post(path, { model: 'demo', messages });
    expect(first.headers.get('imodel-queue-position')).toBe('0');
    expect(first.headers.get('x-ratelimit-limit-requests')).toBe('1');
    expect(first.headers.get('x-ratelimit-remaining-requests')).toBe('0');
    expect(first.headers.get('x-ratelimit-reset-requests')).toMatch(/^\d+ms$/);
    const second = await post(path, { model: 'demo', messages });
    expect(second.status).toBe(200);
    expect(Number(second.headers.get('imodel-wait-ms'))).toBeGreaterThan(100);
    const anthropic = await post('/v1/messages', { model: 'demo', messages, max_tokens: 5 });
    expect(anthropic.headers.get('anthropic-ratelimit-requests-limit')).toBe('1');
    expect(Date.parse(anthropic.headers.get('anthropic-ratelimit-requests-reset') ?? '')).toBeGreaterThan(
      Date.now() - 1_000,
    );
  });

  it('refuses at once, with the time to wait, whoever could not wait so long', async () => {
    const { post, runtime } = await openGateway(
      { demo: { model: 'scripted/echo', limitRequests: 1 } },
      { queueTimeout: 90 },
    );
    await post(path, { model: 'demo', messages });
    const refused = await post(path, { model: 'demo', messages }, { 'imodel-queue-ms': '2000' });
    expect(await errorOf(refused)).toEqual([429, 'rate_limit_error', 'rate_limit_exceeded']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(50);
    expect(refused.headers.get('x-should-retry')).toBe('true');
    expect(runtime.models.get('demo')?.state.counters.submitted).toBe(1);
  });

  it('answers 429 when a call’s time in the queue is up, or the queue is full', async () => {
    const { post, runtime, url } = await openGateway({
      demo: { model: 'scripted/echo', queueCapacity: 1, onFull: 'reject' },
    });
    const model = runtime.models.get('demo');
    model?.pause();
    const late = await post(path, { model: 'demo', messages }, { 'imodel-queue-ms': '50' });
    expect(await errorOf(late)).toEqual([429, 'rate_limit_error', 'rate_limit_exceeded']);
    expect(late.headers.get('retry-after')).toBe('1');
    openRequest(url + path, { model: 'demo', messages }).request.on('error', () => {});
    await until(() => model?.state.queue.waiting === 1);
    const full = await post(path, { model: 'demo', messages });
    expect(await errorOf(full)).toEqual([429, 'rate_limit_error', 'rate_limit_exceeded']);
    expect(full.headers.has('retry-after')).toBe(true);
    model?.resume();
  });
});

describe('a gateway that closes', () => {
  it('waits neither for connections that say nothing nor for requests that do not end', async () => {
    const runtime = await createRuntime({ models: { m: { model: 'scripted/echo' } } }, { env: {} });
    const gateway = await startGateway(runtime, { port: 0, requestTimeout: 0.3 });
    const head = 'POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
    const beginnings = ['', 'GET /healthz HT', `${head}content-length: 100\r\n\r\n{"model"`];
    const sockets = beginnings.map((beginning) => {
      const socket = connect(gateway.port, '127.0.0.1');
      socket.on('error', () => {});
      if (beginning !== '') socket.write(beginning);
      return new Promise((closed) => socket.once('close', closed));
    });
    await fetch(`${gateway.url}/healthz`);
    const feed = await fetch(`${gateway.url}/dashboard/feed`);
    await feed.body?.cancel();
    await gateway.close();
    await Promise.all(sockets);
    await runtime.close();
  });
});
