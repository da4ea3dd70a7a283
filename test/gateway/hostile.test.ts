import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gateway, startGateway } from '../../src/gateway/gateway.ts';
import { createRuntime, type Runtime } from '../../src/runtime/runtime.ts';

let runtime: Runtime;
let gateway: Gateway;
const faults: unknown[] = [];

beforeAll(async () => {
  runtime = await createRuntime({ models: { m: { model: 'scripted/echo' } } }, { env: {} });
  const times = { headersTimeout: 0.5, requestTimeout: 1 };
  gateway = await startGateway(runtime, { port: 0, ...times }, { onError: (error) => faults.push(error) });
});

afterAll(async () => {
  await gateway.close();
  await runtime.close();
});

/** Sends pieces as they are, one by one, and resolves with the statuses that came back; `half` closes our end after the last. */
function exchange(pieces: readonly (string | Buffer)[], { half = false } = {}): Promise<number[]> {
  return new Promise((resolve) => {
    const socket = connect({ port: gateway.port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
    });
    // A server that has refused a request may cut what still comes.
    socket.on('error', () => {});
    socket.once('end', () => socket.end());
    socket.once('close', () =>
      resolve([...text.matchAll(/(?:^|\n|\})HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))),
    );
    void (async () => {
      for (const piece of pieces) {
        if (socket.destroyed) return;
        await new Promise((sent) => socket.write(piece, sent));
        await new Promise((later) => setImmediate(later));
      }
      if (half) socket.end();
    })();
  });
}

function post(path: string, body: string | Buffer, headers = ''): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${headers}\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(body)]);
}

const close = 'connection: close\r\n';
const chat = '/v1/chat/completions';
const good = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] });
const paths = [
  chat,
  '/v1/messages',
  '/v1/responses',
  '/v1/embeddings',
  '/v1/audio/speech',
  '/v1/images/generations',
  '/v1/imodels/m/control',
];

/** Nobody else's fault may become ours, and the next caller is answered. */
async function expectUnharmed(statuses: readonly number[]): Promise<void> {
  for (const status of statuses) expect([status, status < 500]).toEqual([status, true]);
  expect(faults).toEqual([]);
  expect(await exchange([post(chat, good, close)])).toEqual([200]);
}

describe('the gateway, whatever it is sent', () => {
  it('answers bodies of any JSON with 200 or 4xx', async () => {
    const values = fc.record(
      {
        model: fc.oneof({ arbitrary: fc.constant('m'), weight: 8 }, { arbitrary: fc.jsonValue(), weight: 1 }),
        messages: fc.oneof(
          fc.jsonValue(),
          fc.array(
            fc.record(
              {
                role: fc.oneof(fc.constantFrom('user', 'assistant', 'tool', 'system'), fc.jsonValue()),
                content: fc.jsonValue(),
              },
              { requiredKeys: [] },
            ),
          ),
        ),
        input: fc.jsonValue(),
        stream: fc.oneof(fc.boolean(), fc.jsonValue()),
        tools: fc.jsonValue(),
        tool_choice: fc.jsonValue(),
        max_tokens: fc.jsonValue(),
        temperature: fc.jsonValue(),
        system: fc.jsonValue(),
        stream_options: fc.jsonValue(),
        response_format: fc.jsonValue(),
        action: fc.constantFrom('limits', 'reset', 'nonsense'),
        prompt: fc.jsonValue(),
      },
      { requiredKeys: ['model'] },
    );
    const property = fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.oneof({ arbitrary: values, weight: 6 }, { arbitrary: fc.jsonValue(), weight: 1 }),
      async (path, value) => {
        const [status = 0] = await exchange([post(path, JSON.stringify(value), close)]);
        expect([status, status === 200 || (status >= 400 && status < 500)]).toEqual([status, true]);
      },
    );
    await fc.assert(property, { numRuns: 250 });
    await expectUnharmed([]);
  });

  it('answers bytes that are no JSON, no UTF-8 or no HTTP with 4xx', async () => {
    const property = fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, inBody) => {
      const raw = Buffer.from(bytes);
      const statuses = inBody
        ? await exchange([post(chat, raw, close)])
        : await exchange([raw, '\r\n\r\n'], { half: true });
      for (const status of statuses) expect([status, status >= 400 && status < 500]).toEqual([status, true]);
    });
    await fc.assert(property, { numRuns: 100 });
    await expectUnharmed([]);
  });

  it('understands a request wherever its bytes are split', async () => {
    const whole = post(chat, good, close);
    const property = fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 1, max: whole.length - 1 }), { maxLength: 12 }),
      async (cuts) => {
        const edges = [0, ...cuts.sort((one, other) => one - other), whole.length];
        const pieces = edges.slice(1).map((end, index) => whole.subarray(edges[index], end));
        expect(await exchange(pieces)).toEqual([200]);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  it('answers pipelined requests in their order, a bad one among them too', async () => {
    const missing = post('/v1/nothing', good);
    const broken = post(chat, '{}');
    const stream = post(chat, good.replace('{', '{"stream":true,'));
    const pieces = [Buffer.concat([post(chat, good), broken, stream, missing, post(chat, good, close)])];
    expect(await exchange(pieces)).toEqual([200, 400, 200, 404, 200]);
    // After a body that could not be read nobody knows where the next request begins.
    expect(await exchange([Buffer.concat([post(chat, good), post(chat, '{"model":'), post(chat, good)])])).toEqual([
      200, 400,
    ]);
    await expectUnharmed([]);
  });

  it('refuses heads and lengths that cannot be', async () => {
    const head = (lines: string) =>
      `POST ${chat} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${lines}\r\n`;
    const cases: [string, number][] = [
      [`GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`, 431],
      [`GET /healthz HTTP/1.1\r\nhost: localhost\r\n${'name: value\r\n'.repeat(8_000)}\r\n`, 431],
      [`GET /${'a'.repeat(40_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`, 431],
      [head('content-length: -1\r\n'), 400],
      [head('content-length: 5\r\ncontent-length: 6\r\n'), 400],
      [head('content-length: 3\r\ntransfer-encoding: chunked\r\n'), 400],
      [`${head('transfer-encoding: chunked\r\n')}zz\r\n`, 400],
      [head('content-length: 99999999999\r\n'), 413],
      ['GET /healthz HTTP/1.1\r\n\r\n', 400],
      ['GET /healthz HTTP/9.9\r\nhost: localhost\r\n\r\n', 400],
      [`GET /%zz HTTP/1.1\r\nhost: localhost\r\n${close}\r\n`, 400],
      [`TRACE / HTTP/1.1\r\nhost: localhost\r\n${close}\r\n`, 404],
      [`POST ${chat} HTTP/1.1\r\nhost: localhost\r\n${close}content-length: 2\r\n\r\n{}`, 415],
      [
        `POST ${chat} HTTP/1.1\r\nhost: localhost\r\n${close}content-type: application/json\r\ncontent-length: 0\r\n\r\n`,
        400,
      ],
      [`POST ${chat} HTTP/1.1\r\nhost: localhost\r\n${close}content-type: ;;;\r\ncontent-length: 2\r\n\r\n{}`, 415],
    ];
    for (const [text, wanted] of cases) {
      const [status] = await exchange([text]);
      expect([text.slice(0, 80), status]).toEqual([text.slice(0, 80), wanted]);
    }
    await expectUnharmed([]);
  });

  it('gives up those who send a byte now and then, and answers others meanwhile', async () => {
    const slow = Array.from({ length: 40 }, (_value, index) => {
      const pieces = index % 2 === 0 ? ['GET /healthz HTTP/1.1\r\n', 'host: lo'] : [post(chat, good).subarray(0, -10)];
      return exchange(pieces);
    });
    expect(await exchange([post(chat, good, close)])).toEqual([200]);
    for (const statuses of await Promise.all(slow)) expect(statuses).toEqual([408]);
  });

  it('is not stopped by connections that break at every byte of a request', async () => {
    const whole = post(chat, good);
    for (let length = 0; length <= whole.length; length += 3) {
      await new Promise<void>((resolve) => {
        const socket = connect(gateway.port, '127.0.0.1', () => {
          socket.write(whole.subarray(0, length), () => socket.resetAndDestroy());
        });
        socket.on('error', () => {});
        socket.once('close', () => resolve());
      });
    }
    await expectUnharmed([]);
  });
});
