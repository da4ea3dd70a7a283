import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { wireCall } from '../../../schemas/call.ts';
import { failureReply } from '../../../schemas/wire.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { buses, serveScripted } from '../../integration/served-model.ts';
import { hello } from './example-calls.ts';
import { quick, serveEachTest } from './serve-each-test.ts';

describe.each(Object.entries(buses))('calls over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('bodies', () => {
    it('takes a plain text as one user message', async () => {
      const { caller, id } = await serve();
      const reply = await caller.request(subjects.invoke(id), 'just a text', quick);
      expect(wireCall.parse(reply.value()).text).toBe('just a text');
    });

    it('takes MessagePack bytes with or without a content type', async () => {
      const { caller, id } = await serve();
      const bytes = new Packr({ useRecords: false, variableMapSize: true }).pack(hello);
      const reply = await caller.request(subjects.invoke(id), bytes, { contentType: 'application/msgpack', ...quick });
      expect(wireCall.parse(reply.value()).text).toBe('hello');
    });

    it.each(['', [], null, 17, true])('refuses %j as a request, and says what one is', async (body) => {
      const { caller, id, endpoint } = await serve();
      const reply = await caller.request(subjects.invoke(id), body, { contentType: 'application/json', ...quick });
      expect(failureReply.strict().parse(reply.value()).failure).toMatchObject({
        code: 'invalid_request',
        message: expect.stringContaining('Expected request: an object of fields, or a prompt as text, got '),
      });
      expect(endpoint.started).toEqual([]);
    });

    it('answers a reply that cannot be written with the reason', async () => {
      const { caller, id, endpoint } = await serve();
      const circular: Record<string, unknown> = {};
      circular.self = circular;
      endpoint.run = async (job) => ({
        response: circular,
        view: { text: job.callId, thinking: '', toolUses: [], finishReason: null, usage: null },
      });
      const reply = await caller.request(subjects.invoke(id), hello, quick);
      // In memory nothing is written, so nothing fails.
      if (open === buses.memory) expect(wireCall.parse(reply.value()).failure).toBeNull();
      else expect(failureReply.parse(reply.value()).failure).toMatchObject({ code: 'invalid_request' });
    });
  });
});

describe('replies over nats', () => {
  const open = buses.nats as NonNullable<(typeof buses)[string]>;

  it.each([0.9, 1.5, 8, 32])('carries a request and a reply of %d MB', { timeout: 60_000 }, async (megabytes) => {
    await using served = await serveScripted(open);
    const question = 'a'.repeat(megabytes * 1_000_000);
    // A reply holds its text twice: in the vendor's body and in the common view.
    const text = 'b'.repeat((megabytes * 1_000_000) / 2);
    const request = { messages: [{ role: 'user', content: question }], text };
    const call = await served.remote.invoke(request, { timeoutMs: 50_000 });
    expect(call.usage?.inputTokens).toBe(question.length / 4);
    expect(call.text === text).toBe(true);
  });

  it('says that a reply is too large, and keeps the stream whole when its end is', async () => {
    await using served = await serveScripted(open, {}, {}, { maxBodyBytes: 1_500_000 });
    const large = { ...hello, text: 'a'.repeat(1_000_000), chunks: 100 };
    const refused = { code: 'payload_too_large', limitBytes: 1_500_000 };
    const call = served.remote.invoke(large, { timeoutMs: 10_000 });
    await expect(call).rejects.toMatchObject({ failure: refused });
    const stream = served.remote.stream(large);
    let text = '';
    const read = async (): Promise<void> => {
      for await (const chunk of stream) if (chunk.type === 'text') text += chunk.content ?? '';
    };
    await expect(read()).rejects.toMatchObject({ failure: refused });
    expect(text).toHaveLength(1_000_000);
    expect((await served.remote.invoke(hello)).text).toBe('hello');
  });

  it.each([
    ['application/json', JSON.stringify(hello), 0x7b],
    ['application/msgpack', new Packr({ useRecords: false }).pack(hello), 0x80],
  ] as const)('answers %s in kind', async (_type, body, first) => {
    await using served = await serveScripted(open);
    const connection = (served.caller as unknown as { connection: import('nats').NatsConnection }).connection;
    const reply = await connection.request(subjects.invoke(served.id), body, { timeout: 10_000 });
    const byte = reply.data[0] ?? 0;
    expect(first === 0x7b ? byte : byte >= 0xde ? 0x80 : byte & 0xf0).toBe(first);
  });
});
