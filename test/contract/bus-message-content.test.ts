import { describe, expect, it } from 'vitest';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { busForEachTest, implementations } from './bus-implementations.ts';

describe.each(Object.entries(implementations))('the bus over %s', (_name, open) => {
  const { start, sendAndCollect } = busForEachTest(open);

  it('carries headers, read without regard to case', async () => {
    const { readHeader } = await import('../../src/bus/headers.ts');
    const [message] = await sendAndCollect([{ a: 1 }], {
      headers: { 'Imodel-Call': 'c1', traceparent: '00-ab-cd-01', 'X-Text': 'grün: schön' },
    });
    const headers = message?.headers ?? {};
    expect(readHeader(headers, 'imodel-call')).toBe('c1');
    expect(readHeader(headers, 'Traceparent')).toBe('00-ab-cd-01');
    expect(readHeader(headers, 'X-Text')).toBe('grün: schön');
    expect(readHeader(headers, 'absent')).toBeUndefined();
    expect(message?.value()).toEqual({ a: 1 });
  });

  it.each([
    ['an object', { text: 'schön 🎉', nested: { list: [1, 2.5, null, true] } }],
    ['an array', [1, 'two', { three: 3 }]],
    ['a string', 'hello'],
    ['a string that looks like JSON', '{"not": json'],
    ['a string that begins like a MessagePack map', '\u07ff a letter of N’Ko'],
    ['an empty string', ''],
    ['a number', 42],
    ['a boolean', false],
    ['null', null],
    ['nothing', undefined],
  ])('brings over %s', async (_what, payload) => {
    const [message] = await sendAndCollect([payload]);
    expect(message?.value()).toEqual(payload);
  });

  it.each([
    ['application/json', { a: [1, { b: null }], text: 'ü' }],
    ['application/msgpack', { a: [1, { b: null }], text: 'ü', at: 1_763_800_000_000 }],
    ['application/msgpack', [1, 2, 3]],
    ['application/msgpack', 'just text'],
    ['text/plain', 'just text'],
  ] as const)('writes %s when asked', async (contentType, payload) => {
    const [message] = await sendAndCollect([payload], { contentType });
    expect(message?.contentType).toBe(contentType);
    expect(message?.value()).toEqual(payload);
  });

  it('brings over bytes as they are', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    const [message] = await sendAndCollect([bytes]);
    expect(message?.value()).toBeInstanceOf(Uint8Array);
    expect(Buffer.from(message?.value() as Uint8Array)).toEqual(Buffer.from(bytes));
  });

  it('reads bytes that their sender had written in a named encoding', async () => {
    const [message] = await sendAndCollect([Buffer.from('{"a":1}')], { contentType: 'application/json' });
    expect(message?.value()).toEqual({ a: 1 });
  });

  it('answers in the encoding of the request', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    const types: unknown[] = [];
    host.subscribe(subject, (message) => {
      types.push(message.contentType);
      message.respond({ took: message.value() });
    });
    await host.flush();
    const options = { contentType: 'application/msgpack', timeoutMs: 5_000 } as const;
    const reply = await caller.request(subject, { n: 1 }, options);
    expect(reply.value()).toEqual({ took: { n: 1 } });
    expect(types).toEqual(['application/msgpack']);
    expect([undefined, 'application/msgpack']).toContain(reply.contentType);
  });

  it.each([
    ['JSON that is cut off', '{"a": [1, 2', 'application/json'],
    ['MessagePack that is cut off', '\x82\xa1a\x01', 'application/msgpack'],
    ['JSON nested too deep', '['.repeat(5_000) + ']'.repeat(5_000), 'application/json'],
    ['MessagePack nested too deep', `\x81\xa1a${'\x91'.repeat(5_000)}\x01`, 'application/msgpack'],
    ['text that is not UTF-8', 'a\xff\xfe', 'text/plain'],
  ] as const)('says what is wrong with %s, when asked for the value', async (_what, body, contentType) => {
    const [message] = await sendAndCollect([Buffer.from(body, 'latin1')], { contentType });
    expect(() => message?.value()).toThrow(expect.objectContaining({ code: 'malformed' }));
    expect(() => message?.value()).toThrow(
      expect.objectContaining({ failure: expect.objectContaining({ source: 'bus' }) }),
    );
  });

  it('lets no body reach a prototype', async () => {
    const hostile = [
      '{"__proto__": {"polluted": true}, "a": {"__proto__": {"polluted": true}}, "b": [{"__proto__": 1}]}',
      '{"\\u005f_proto__": {"polluted": true}}',
      '{"constructor": {"prototype": {"polluted": true}}}',
    ];
    const seen = await sendAndCollect(
      hostile.map((text) => Buffer.from(text)),
      { contentType: 'application/json' },
    );
    for (const message of seen) {
      const copy = Object.assign({}, message.value()) as Record<string, unknown>;
      expect(copy.polluted).toBeUndefined();
      expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    }
    expect('polluted' in {}).toBe(false);
  });
});
