import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gateway, startGateway } from '../../src/gateway/gateway.ts';
import { createRuntime, type Runtime } from '../../src/runtime/runtime.ts';

const text = 'Grüße 🌊 aus dem Meer';
let runtime: Runtime;
let gateway: Gateway;

beforeAll(async () => {
  runtime = await createRuntime({ models: { m: { model: 'scripted/demo', text } } }, { env: {} });
  gateway = await startGateway(runtime, { port: 0 });
});

afterAll(async () => {
  await gateway.close();
  await runtime.close();
});

const body = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }] });

function request(version: string, connection: string): string {
  const head = [`POST /v1/chat/completions HTTP/${version}`, 'host: 127.0.0.1', 'content-type: application/json'];
  return [...head, `content-length: ${body.length}`, `connection: ${connection}`, '', body].join('\r\n');
}

/** What comes back on one connection until the server ends it. */
async function answers(...requests: string[]): Promise<Buffer> {
  const socket = connect({ port: gateway.port, host: '127.0.0.1' });
  const pieces: Buffer[] = [];
  socket.on('data', (data) => pieces.push(data));
  socket.write(requests.join(''));
  await once(socket, 'end');
  socket.destroy();
  return Buffer.concat(pieces);
}

/** Reads chunks as RFC 9112 has them, and gives what follows the last. */
function readChunks(bytes: Buffer): { body: string; rest: Buffer } {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = bytes.indexOf('\r\n', at);
    const line = bytes.subarray(at, end).toString();
    expect(line).toMatch(/^[0-9a-f]+$/);
    const length = Number.parseInt(line, 16);
    const next = end + 2 + length;
    parts.push(bytes.subarray(end + 2, next));
    expect(bytes.subarray(next, next + 2).toString()).toBe('\r\n');
    at = next + 2;
    if (length === 0) return { body: Buffer.concat(parts).toString(), rest: bytes.subarray(at) };
  }
}

function contentOf(events: string): string {
  const data = [...events.matchAll(/^data: (\{.*)$/gm)].map(([, json]) => JSON.parse(json as string));
  return data.map(({ choices }) => choices[0].delta.content ?? '').join('');
}

describe('events on the wire', () => {
  it('are chunks whose lengths count bytes, of one answer after another on one connection', async () => {
    let rest = await answers(request('1.1', 'keep-alive'), request('1.1', 'close'));
    for (const _answer of [1, 2]) {
      const head = rest.indexOf('\r\n\r\n');
      expect(rest.subarray(0, head).toString()).toMatch(/^HTTP\/1\.1 200 OK.*transfer-encoding: chunked/is);
      const read = readChunks(rest.subarray(head + 4));
      expect(contentOf(read.body)).toBe(text);
      expect(read.body.endsWith('data: [DONE]\n\n')).toBe(true);
      rest = read.rest;
    }
    expect(rest).toHaveLength(0);
  });

  it('come as they are to a reader that knows no chunks, and end with the connection', async () => {
    const answer = (await answers(request('1.0', 'close'))).toString();
    const [head = '', events = ''] = answer.split('\r\n\r\n');
    expect(head).not.toMatch(/transfer-encoding/i);
    expect(contentOf(events)).toBe(text);
    expect(events).toMatch(/^id: 1\ndata: /);
    expect(events.endsWith('data: [DONE]\n\n')).toBe(true);
  });
});
