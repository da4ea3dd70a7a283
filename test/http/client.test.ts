import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IModelError } from '../../src/errors.ts';
import { HttpClient } from '../../src/http/client.ts';
import type { BodyReader, Flow, HttpRequest } from '../../src/http/exchange.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';

let upstream: Upstream;
let client: HttpClient;

beforeEach(async () => {
  upstream = await startUpstream();
  client = new HttpClient({ allowLoopback: true });
});

afterEach(async () => {
  await client.close();
  await upstream.close();
});

function post(more: Partial<HttpRequest> = {}): HttpRequest {
  return {
    origin: upstream.url,
    path: '/v1/x',
    headers: { 'content-type': 'application/json' },
    body: '{"a":1}',
    ...more,
  };
}

async function failureOf(promise: Promise<unknown>): Promise<IModelError> {
  const error = await promise.then(
    () => new Error('It resolved'),
    (thrown: unknown) => thrown,
  );
  if (!IModelError.is(error)) throw error;
  return error;
}

function collector(): BodyReader & { text: string; ended: boolean } {
  return {
    text: '',
    ended: false,
    data(bytes) {
      this.text += bytes.toString('utf8');
      return false;
    },
    end() {
      this.ended = true;
    },
  };
}

describe('one-shot requests', () => {
  it('leaves a request that is withheld unwritten', async () => {
    let bytes = 0;
    const server = createServer((socket) => socket.on('data', (piece) => (bytes += piece.length)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const gone = new Promise((resolve) => server.once('connection', (socket) => socket.once('close', resolve)));
    const order: string[] = [];
    const withheld = () => order.push('withheld') > 0;
    const origin = `http://127.0.0.1:${port}`;
    const failure = await failureOf(client.send(post({ origin, withheld, sent: () => order.push('sent') })));
    expect(failure.code).toBe('overloaded');
    await gone;
    expect([order, bytes]).toEqual([['withheld'], 0]);
    server.close();
  });

  it('sends method, path, headers and body, and brings the reply', async () => {
    upstream.handle((_request, reply) => reply.json({ ok: true }, 201, { 'x-request-id': 'r1' }));
    const order: string[] = [];
    const reply = await client.send(post({ sent: () => order.push('sent'), answered: () => order.push('answered') }));
    expect(reply.status).toBe(201);
    expect(reply.headers['x-request-id']).toBe('r1');
    expect(JSON.parse(reply.body.toString())).toEqual({ ok: true });
    expect(order).toEqual(['sent', 'answered']);
    const [request] = upstream.requests;
    expect(request?.method).toBe('POST');
    expect(request?.path).toBe('/v1/x');
    expect(request?.json()).toEqual({ a: 1 });
  });

  it('keeps connections open and uses one per request under way', async () => {
    for (let i = 0; i < 3; i += 1) await client.send(post());
    expect(upstream.accepted).toBe(1);
    await Promise.all([1, 2, 3].map(() => client.send(post())));
    expect(upstream.accepted).toBe(3);
  });

  it('joins a body that comes in pieces, cut inside a character', async () => {
    upstream.handle(async (_request, { raw }) => {
      const bytes = Buffer.from('{"text":"grüße"}');
      raw.write(bytes.subarray(0, 11));
      await sleep(5);
      raw.end(bytes.subarray(11));
    });
    const reply = await client.send(post());
    expect(JSON.parse(reply.body.toString('utf8'))).toEqual({ text: 'grüße' });
  });

  it('gives an empty body for 204', async () => {
    upstream.handle((_request, reply) => void reply.raw.writeHead(204).end());
    expect((await client.send(post())).body.length).toBe(0);
  });

  it('does not follow redirects', async () => {
    upstream.handle((_request, reply) => void reply.raw.writeHead(302, { location: 'http://10.0.0.1/' }).end());
    expect((await client.send(post())).status).toBe(302);
    expect(upstream.requests).toHaveLength(1);
  });

  it('refuses a body above its limit', async () => {
    upstream.handle((_request, reply) => reply.text('x'.repeat(5_000)));
    const error = await failureOf(client.send(post({ maxBodyBytes: 1_000 })));
    expect(error.failure).toMatchObject({ code: 'payload_too_large', limitBytes: 1_000 });
  });
});

describe('streams', () => {
  it('hands over pieces as they come and then the end', async () => {
    upstream.handle(async (_request, reply) => {
      await reply.events(['one', 'two']);
      reply.end();
    });
    const reader = collector();
    const reply = await client.send(post({ reader: () => reader }));
    expect(reader.text).toBe('data: one\n\ndata: two\n\n');
    expect(reader.ended).toBe(true);
    expect(reply.body.length).toBe(0);
  });

  it('collects the body when the reader is declined', async () => {
    upstream.handle((_request, reply) => reply.json({ error: 'no' }, 500));
    const reply = await client.send(post({ reader: (status) => (status === 200 ? collector() : null) }));
    expect(reply.body.toString()).toBe('{"error":"no"}');
  });

  it('resolves at once when the reader has enough, though the body stays open', async () => {
    upstream.handle((_request, reply) => reply.events(['done']));
    const reader: BodyReader = { data: () => true, end: () => {} };
    await client.send(post({ reader: () => reader }));
    await (await upstream.request(0)).closed;
  });

  it('closes the socket when the reader throws, and rejects with what it threw', async () => {
    upstream.handle((_request, reply) => reply.events(['bad']));
    const thrown = IModelError.of('malformed', 'no JSON', {});
    const reader: BodyReader = {
      data: () => {
        throw thrown;
      },
      end: () => {},
    };
    await expect(client.send(post({ reader: () => reader }))).rejects.toBe(thrown);
    await (await upstream.request(0)).closed;
  });

  it('holds the upstream back while paused, and its silence is not counted', async () => {
    const piece = 'x'.repeat(64 * 1_024);
    let written = 0;
    upstream.handle(async (_request, reply) => {
      reply.open();
      for (let i = 0; i < 256; i += 1) {
        await reply.write(piece);
        written += 1;
      }
      reply.end();
    });
    let flow: Flow | null = null;
    let received = 0;
    const reader: BodyReader = {
      data(bytes, control) {
        received += bytes.length;
        if (flow === null) {
          flow = control;
          control.pause();
        }
        return false;
      },
      end: () => {},
    };
    const done = client.send(post({ reader: () => reader, idleTimeoutMs: 150 }));
    await sleep(400);
    expect(written).toBeLessThan(256);
    (flow as Flow | null)?.resume();
    await done;
    expect(received).toBe(256 * piece.length);
  });

  it('reports a connection cut in the middle as unavailable, after what came before', async () => {
    upstream.handle(async (_request, reply) => {
      await reply.events(['one']);
      reply.cut();
    });
    const reader = collector();
    const error = await failureOf(client.send(post({ reader: () => reader })));
    expect(error.failure).toMatchObject({ code: 'unavailable', retryable: true });
    expect(error.cause).toBeInstanceOf(Error);
    expect(reader.text).toBe('data: one\n\n');
    expect(reader.ended).toBe(false);
  });
});

describe('limits', () => {
  it('waits as long as it is told, also where that is longer than a timer can be', async () => {
    upstream.handle((_request, reply) => void setTimeout(() => reply.json({ ok: true }), 30));
    const reply = await client.send(post({ headersTimeoutMs: 1e13, idleTimeoutMs: 1e13 }));
    expect(reply.status).toBe(200);
  });

  it('times out waiting for headers, and closes the socket', async () => {
    upstream.handle(() => {});
    const error = await failureOf(client.send(post({ headersTimeoutMs: 40 })));
    expect(error.failure).toMatchObject({ code: 'timed_out', phase: 'attempt', timeoutMs: 40, retryable: true });
    await (await upstream.request(0)).closed;
  });

  it('times out on silence between two pieces, not on a long stream', async () => {
    upstream.handle(async (_request, reply) => {
      await reply.events(['a', 'b', 'c', 'd', 'e', 'f'], { gapMs: 50 });
    });
    const reader = collector();
    const error = await failureOf(client.send(post({ reader: () => reader, idleTimeoutMs: 200 })));
    expect(error.failure).toMatchObject({ code: 'timed_out', phase: 'stream', timeoutMs: 200 });
    expect(reader.text).toContain('data: f');
  });

  it('times out connecting', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    const hasty = new HttpClient({ allowLoopback: true, connectTimeoutMs: 200 });
    // TLS with somebody who never says anything.
    const error = await failureOf(hasty.send(post({ origin: `https://127.0.0.1:${port}` })));
    expect(error.failure).toMatchObject({ code: 'timed_out', phase: 'connect', timeoutMs: 200, retryable: true });
    await hasty.close();
    silent.close();
  });
});

describe('abort', () => {
  it('rejects with the signal reason when it aborted before', async () => {
    const reason = IModelError.of('cancelled', 'no longer wanted', {});
    await expect(client.send(post({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    expect(upstream.accepted).toBe(0);
  });

  it('closes the socket before it rejects', async () => {
    upstream.handle(() => {});
    const abort = new AbortController();
    const reason = IModelError.of('cancelled', 'no longer wanted', {});
    const done = client.send(post({ signal: abort.signal }));
    const request = await upstream.request(0);
    abort.abort(reason);
    await expect(done).rejects.toBe(reason);
    await request.closed;
    expect(upstream.connections).toBe(0);
  });

  it('closes the socket in the middle of a stream', async () => {
    upstream.handle((_request, reply) => reply.events(['one']));
    const abort = new AbortController();
    const reason = IModelError.of('cancelled', 'no longer wanted', {});
    const reader: BodyReader = {
      data: () => {
        abort.abort(reason);
        return false;
      },
      end: () => {},
    };
    await expect(client.send(post({ signal: abort.signal, reader: () => reader }))).rejects.toBe(reason);
    await (await upstream.request(0)).closed;
  });

  it('never sends a request whose signal aborted while the connection was being opened', async () => {
    const abort = new AbortController();
    const done = client.send(post({ signal: abort.signal }));
    abort.abort(IModelError.of('cancelled', 'at once', {}));
    await expect(done).rejects.toMatchObject({ code: 'cancelled' });
    await client.send(post());
    expect(upstream.requests).toHaveLength(1);
  });

  it('leaves no listener on a signal that outlives the request', async () => {
    const { signal } = new AbortController();
    const added: string[] = [];
    const removed: string[] = [];
    const spied = new Proxy(signal, {
      get(target, name) {
        if (name === 'addEventListener') return (type: string) => added.push(type);
        if (name === 'removeEventListener') return (type: string) => removed.push(type);
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    await client.send(post({ signal: spied }));
    expect(added).toEqual(['abort']);
    expect(removed).toEqual(['abort']);
  });
});

describe('connection failures', () => {
  it('reports a refused connection as unavailable', async () => {
    const { port } = upstream;
    await upstream.close();
    const error = await failureOf(client.send(post({ origin: `http://127.0.0.1:${port}` })));
    expect(error.failure).toMatchObject({ code: 'unavailable', reason: 'ECONNREFUSED', retryable: true });
    expect(error.message).toContain(`127.0.0.1:${port}`);
  });

  it('reports a connection that is reset before an answer as unavailable', async () => {
    upstream.handle((_request, reply) => reply.cut());
    const error = await failureOf(client.send(post()));
    expect(error.failure).toMatchObject({ code: 'unavailable', retryable: true });
  });

  it('reports what is no HTTP as malformed', async () => {
    const server = createServer((socket) =>
      socket.once('data', () => socket.end('hello, this is not HTTP\r\n\r\n')),
    ).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const error = await failureOf(client.send(post({ origin: `http://127.0.0.1:${port}` })));
    expect(error.code).toBe('malformed');
    server.close();
  });

  it.each([
    ['102 Processing', 'is passed over'],
    ['103 Early Hints', 'is passed over'],
    ['100 Continue', 'is final: its host has the request'],
  ])('a %s before the answer %s', async (interim) => {
    const server = createServer((socket) =>
      socket
        .on('error', () => {})
        .once('data', () => socket.write(`HTTP/1.1 ${interim}\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi`)),
    ).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const reply = client.send(post({ origin: `http://127.0.0.1:${port}` }));
    if (interim.startsWith('100')) {
      await expect(reply).rejects.toMatchObject({ failure: { code: 'malformed', retryable: false } });
      await expect(reply).rejects.toThrow(/100 Continue/);
    } else expect(String((await reply).body)).toBe('hi');
    server.close();
  });

  it('fails requests under way as closed when the client is closed', async () => {
    upstream.handle(() => {});
    const done = failureOf(client.send(post()));
    await upstream.request(0);
    await client.close();
    expect((await done).code).toBe('closed');
  });
});
