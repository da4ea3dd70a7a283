import { brotliCompressSync, constants, createGzip, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HttpClient } from '../../src/http/client.ts';
import type { BodyReader, HttpRequest } from '../../src/http/exchange.ts';
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

const post = (more: Partial<HttpRequest> = {}): HttpRequest => ({
  ...{ origin: upstream.url, path: '/x', headers: {}, body: '{}' },
  ...more,
});

/** Notes what it is given, until a text is in it. */
function reader(enough = 'never'): BodyReader & { text: string; ended: boolean } {
  const pieces: Buffer[] = [];
  return {
    text: '',
    ended: false,
    data(bytes) {
      pieces.push(bytes);
      this.text = Buffer.concat(pieces).toString('utf8');
      return this.text.includes(enough);
    },
    end() {
      this.ended = true;
    },
  };
}

const packers = [
  ['gzip', 'gzip', gzipSync],
  ['x-gzip', 'x-gzip', gzipSync],
  ['deflate', 'deflate', deflateSync],
  ['deflate without its header', 'deflate', deflateRawSync],
  ['br', 'br', brotliCompressSync],
] as const;
const text = 'data: grüße 👋\n\n'.repeat(2_000);

describe.each(packers)('a body packed with %s', (_name, encoding, pack) => {
  it('is unpacked whole, and its connection is used again', async () => {
    upstream.handle(
      (_request, reply) => void reply.raw.writeHead(200, { 'content-encoding': encoding }).end(pack(text)),
    );
    for (const _time of [1, 2]) expect((await client.send(post())).body.toString('utf8')).toBe(text);
    expect(upstream.accepted).toBe(1);
  });

  it('is unpacked for a reader, wherever it is cut', async () => {
    const packed = pack(text);
    upstream.handle(async (_request, reply) => {
      reply.open('text/event-stream', { 'content-encoding': encoding });
      for (let at = 0; at < packed.length; at += 7) await reply.write(packed.subarray(at, at + 7));
      reply.end();
    });
    const taken = reader();
    await client.send(post({ reader: () => taken }));
    expect(taken).toMatchObject({ text, ended: true });
  });

  it('fails when it is damaged', async () => {
    const packed = pack(text);
    upstream.handle(
      (_request, reply) =>
        void reply.raw.writeHead(200, { 'content-encoding': encoding }).end(packed.subarray(0, packed.length / 2)),
    );
    await expect(client.send(post())).rejects.toMatchObject({ code: 'malformed' });
    await expect(client.send(post({ reader: () => reader() }))).rejects.toMatchObject({ code: 'malformed' });
  });
});

it('hands a packed stream on as it comes, and ends when its reader has enough', async () => {
  let goOn = (): void => {};
  const seen = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  upstream.handle(async (_request, reply) => {
    reply.open('text/event-stream', { 'content-encoding': 'gzip' });
    const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH });
    gzip.on('data', (piece: Buffer) => void reply.write(piece));
    gzip.write('data: first\n\n');
    await seen;
    // The body is never ended: what is known to be the last event must do.
    gzip.write('data: [DONE]\n\n');
  });
  const taken = reader('[DONE]');
  const data = taken.data.bind(taken);
  taken.data = (bytes, flow) => {
    goOn();
    return data(bytes, flow);
  };
  await client.send(post({ reader: () => taken, idleTimeoutMs: 5_000 }));
  expect(taken.text).toBe('data: first\n\ndata: [DONE]\n\n');
});

it('does not unpack more than a body may have', async () => {
  const bomb = gzipSync(Buffer.alloc(1_000_000));
  upstream.handle((_request, reply) => void reply.raw.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb));
  await expect(client.send(post({ maxBodyBytes: 10_000 }))).rejects.toMatchObject({ code: 'payload_too_large' });
});

it('fails with what its reader throws', async () => {
  const fault = new Error('not this');
  upstream.handle(
    (_request, reply) => void reply.raw.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(text)),
  );
  const throwing: BodyReader = {
    data: () => {
      throw fault;
    },
    end: () => {},
  };
  await expect(client.send(post({ reader: () => throwing }))).rejects.toBe(fault);
});

it('leaves a packing that it does not know to whoever reads the bytes', async () => {
  upstream.handle((_request, reply) => void reply.raw.writeHead(200, { 'content-encoding': 'zstd' }).end('as it is'));
  expect((await client.send(post())).body.toString('utf8')).toBe('as it is');
});
