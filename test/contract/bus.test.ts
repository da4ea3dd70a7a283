import { afterEach, describe, expect, it } from 'vitest';
import type { Bus, BusOptions, Message, PublishOptions } from '../../src/bus/bus.ts';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';

/** How the suite reaches one implementation. In memory the two ends are the same bus; over NATS, two connections. */
interface Ends {
  /** Where handlers live. */
  readonly host: Bus;
  /** Who sends. */
  readonly caller: Bus;
}

const implementations: Record<string, (options?: BusOptions) => Promise<Ends>> = {
  memory: async (options) => {
    const bus = createMemoryBus(options);
    return { host: bus, caller: bus };
  },
  'nats, two connections': async (options) => ({
    host: await connectTestBus(options),
    caller: await connectTestBus(options),
  }),
  'nats, one connection': async (options) => {
    const bus = await connectTestBus(options);
    return { host: bus, caller: bus };
  },
};

describe.each(Object.entries(implementations))('the bus over %s', (_name, open) => {
  let ends: Ends | undefined;
  const start = async (options?: BusOptions): Promise<Ends> => {
    ends = await open(options);
    return ends;
  };
  afterEach(async () => {
    await ends?.caller.close();
    await ends?.host.close();
    ends = undefined;
  });

  /** Waits until the handlers have everything that was sent. */
  const settle = async ({ host, caller }: Ends): Promise<void> => {
    await caller.flush();
    await host.flush();
    await host.flush();
  };

  /** Subscribes, sends, and tells what arrived. */
  const sendAndCollect = async (payloads: readonly unknown[], options?: PublishOptions): Promise<Message[]> => {
    const { host, caller } = await start();
    const subject = uniqueId();
    const seen: Message[] = [];
    host.subscribe(subject, (message) => void seen.push(message));
    await host.flush();
    for (const payload of payloads) caller.publish(subject, payload, options);
    await settle({ host, caller });
    return seen;
  };

  it.each([
    ['a', 'a', true],
    ['a.b', 'a.b', true],
    ['a.b', 'a', false],
    ['a', 'a.b', false],
    ['*', 'a', true],
    ['*', 'a.b', false],
    ['a.*', 'a.b', true],
    ['a.*.c', 'a.b.c', true],
    ['a.*.c', 'a.b.d', false],
    ['*.*', 'a.b', true],
    ['a.>', 'a', false],
    ['a.>', 'a.b', true],
    ['a.>', 'a.b.c.d', true],
    ['a.*.>', 'a.b', false],
    ['a.*.>', 'a.b.c', true],
    ['>', 'a.b', true],
  ])('delivers by pattern: %s takes %s: %s', async (pattern, subject, expected) => {
    const { host, caller } = await start();
    const root = uniqueId();
    const seen: string[] = [];
    host.subscribe(`${root}.${pattern}`, (message) => void seen.push(message.subject));
    await host.flush();
    caller.publish(`${root}.${subject}`, {});
    await settle({ host, caller });
    expect(seen).toEqual(expected ? [`${root}.${subject}`] : []);
  });

  it('gives a message to every subscription, and to one member of each queue group', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    const seen: string[] = [];
    for (const name of ['plain 1', 'plain 2']) host.subscribe(subject, () => void seen.push(name));
    for (const name of ['red 1', 'red 2', 'red 3'])
      host.subscribe(subject, () => void seen.push(name), { queue: 'red' });
    host.subscribe(subject, () => void seen.push('blue'), { queue: 'blue' });
    await host.flush();
    for (let index = 0; index < 60; index += 1) caller.publish(subject, index);
    await settle({ host, caller });
    const count = (prefix: string): number => seen.filter((name) => name.startsWith(prefix)).length;
    expect([count('plain 1'), count('plain 2'), count('red'), count('blue')]).toEqual([60, 60, 60, 60]);
    for (const name of ['red 1', 'red 2', 'red 3']) expect(count(name)).toBeGreaterThan(0);
  });

  it('spreads requests over a queue group', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    for (const name of ['one', 'two']) {
      host.subscribe(subject, (message) => message.respond({ name }), { queue: 'workers' });
    }
    await host.flush();
    const replies = await Promise.all(
      Array.from({ length: 50 }, () => caller.request(subject, {}, { timeoutMs: 5_000 })),
    );
    const names = new Set(replies.map((reply) => (reply.value() as { name: string }).name));
    expect([...names].sort()).toEqual(['one', 'two']);
  });

  it('brings what is meant for one receiver to it, in order, here and elsewhere', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    const heard: unknown[] = [];
    host.subscribe(subject, (message) => void heard.push(message.value()), { queue: 'q' });
    await host.flush();
    for (let index = 0; index < 50; index += 1) caller.publish(subject, { index }, { toOne: true });
    await settle({ host, caller });
    expect(heard).toEqual(Array.from({ length: 50 }, (_, index) => ({ index })));
  });

  it('delivers in the order of sending', async () => {
    const payloads = Array.from({ length: 5_000 }, (_, seq) => ({ seq }));
    const seen = await sendAndCollect(payloads);
    expect(seen.map((message) => message.value())).toEqual(payloads);
  });

  it('drains a subscription: what was sent before arrives, what comes after finds nobody', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    const subscription = host.subscribe(subject, (message) => message.respond('here'), { queue: 'q' });
    await host.flush();
    const replies = Array.from({ length: 100 }, () => caller.request(subject, {}, { timeoutMs: 5_000 }));
    // They have left their sender, and nobody has taken them yet.
    subscription.drain();
    subscription.drain();
    const outcomes = await Promise.allSettled(replies);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'no_responder' });
      else expect(outcome.value.value()).toBe('here');
    }
    await settle({ host, caller });
    await expect(caller.request(subject, {}, { timeoutMs: 5_000 })).rejects.toMatchObject({ code: 'no_responder' });
    subscription.close();
  });

  it('stops delivery when a subscription is closed, once and twice', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    const seen: unknown[] = [];
    const subscription = host.subscribe(subject, (message) => void seen.push(message.value()));
    await host.flush();
    caller.publish(subject, { n: 1 });
    await settle({ host, caller });
    subscription.close();
    subscription.close();
    await host.flush();
    caller.publish(subject, { n: 2 });
    await settle({ host, caller });
    expect(seen).toEqual([{ n: 1 }]);
  });

  it('answers a request', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    host.subscribe(subject, (message) => message.respond({ echo: message.value() }, { headers: { 'X-One': '1' } }));
    await host.flush();
    const reply = await caller.request(subject, { hello: 'world' }, { timeoutMs: 5_000 });
    expect(reply.value()).toEqual({ echo: { hello: 'world' } });
    expect(reply.headers['X-One']).toBe('1');
    expect(reply.replyTo).toBeUndefined();
  });

  it('keeps apart the replies of many requests in flight', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    const waiting: Message[] = [];
    host.subscribe(subject, (message) => {
      waiting.push(message);
      if (waiting.length === 200) for (const one of waiting.reverse()) one.respond(one.value());
    });
    await host.flush();
    const asked = Array.from({ length: 200 }, (_, n) => ({ n }));
    const replies = await Promise.all(asked.map((value) => caller.request(subject, value, { timeoutMs: 10_000 })));
    expect(replies.map((reply) => reply.value())).toEqual(asked);
  });

  it('takes the first reply only, and a reply from another than the handler', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    host.subscribe(subject, (message) => {
      host.publish(`${subject}.forward`, { to: message.replyTo });
    });
    host.subscribe(`${subject}.forward`, (message) => {
      const { to } = message.value() as { to: string };
      host.publish(to, { first: true });
      host.publish(to, { first: false });
    });
    await host.flush();
    const reply = await caller.request(subject, {}, { timeoutMs: 5_000 });
    expect(reply.value()).toEqual({ first: true });
  });

  it('does nothing when a handler responds to a message that expects no reply', async () => {
    const seen = await sendAndCollect([{}]);
    expect(() => seen[0]?.respond({})).not.toThrow();
    expect(seen).toHaveLength(1);
  });

  it('says at once that nobody listens', async () => {
    const { caller } = await start();
    const subject = uniqueId();
    const startedAt = performance.now();
    await expect(caller.request(subject, {}, { timeoutMs: 20_000 })).rejects.toMatchObject({
      code: 'no_responder',
      failure: { subject, retryable: true },
    });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('times a request out', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    host.subscribe(subject, () => {});
    await host.flush();
    await expect(caller.request(subject, {}, { timeoutMs: 30 })).rejects.toMatchObject({
      code: 'timed_out',
      failure: { phase: 'reply', timeoutMs: 30 },
    });
  });

  it('takes no notice of a reply that comes too late', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    const held: Message[] = [];
    host.subscribe(subject, (message) => void held.push(message));
    await host.flush();
    await expect(caller.request(subject, { n: 1 }, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'timed_out' });
    await expect.poll(() => held.length).toBe(1);
    held[0]?.respond({ late: true });
    const next = caller.request(subject, { n: 2 }, { timeoutMs: 5_000 });
    await expect.poll(() => held.length).toBe(2);
    held[1]?.respond({ late: false });
    expect((await next).value()).toEqual({ late: false });
  });

  it('rejects with the reason of the signal, before and after sending', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    let heard = 0;
    host.subscribe(subject, () => {
      heard += 1;
    });
    await host.flush();
    const reason = new Error('changed my mind');
    await expect(caller.request(subject, {}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const reply = caller.request(subject, {}, { signal: controller.signal });
    await expect.poll(() => heard).toBe(1);
    controller.abort(reason);
    await expect(reply).rejects.toBe(reason);
  });

  it('reports a handler that throws or rejects, and goes on', async () => {
    const reported: [string, string][] = [];
    const { host, caller } = await start({
      onError: (error, subject) => void reported.push([(error as Error).message, subject]),
    });
    const subject = uniqueId();
    const seen: unknown[] = [];
    host.subscribe(subject, (message) => {
      const value = message.value() as { n: number };
      if (value.n === 1) throw new Error('thrown');
      if (value.n === 2) return Promise.reject(new Error('rejected'));
      seen.push(value);
      return undefined;
    });
    host.subscribe(subject, (message) => void seen.push(message.value()));
    await host.flush();
    for (const n of [1, 2, 3]) caller.publish(subject, { n });
    await settle({ host, caller });
    expect(reported).toEqual([
      ['thrown', subject],
      ['rejected', subject],
    ]);
    expect(seen).toHaveLength(4);
  });

  it('survives a reporter that throws', async () => {
    const { host, caller } = await start({
      onError: () => {
        throw new Error('the reporter');
      },
    });
    const subject = uniqueId();
    host.subscribe(subject, () => {
      throw new Error('the handler');
    });
    host.subscribe(`${subject}.ask`, (message) => message.respond({ ok: true }));
    await host.flush();
    caller.publish(subject, {});
    expect((await caller.request(`${subject}.ask`, {}, { timeoutMs: 5_000 })).value()).toEqual({ ok: true });
  });

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

  it.each([
    '',
    '.',
    'a..b',
    '.a',
    'a.',
    'a b',
    'a\tb',
    'a\r\nb',
    'a\u0000b',
    'a.*',
    'a.*.b',
    'a.>',
    '*',
    '>',
    'a.b*',
    'x'.repeat(1_001),
  ])('refuses to publish to %j', async (subject) => {
    const { caller } = await start();
    const refusal = { code: 'config', failure: { field: 'subject' } };
    expect(() => caller.publish(subject, {})).toThrow(expect.objectContaining({ code: 'config' }));
    await expect(caller.request(subject, {})).rejects.toMatchObject(refusal);
  });

  it.each(['', '.', 'a..b', 'a b', 'a.>.b', 'a*', '>a', 'a.**'])('refuses the pattern %j', async (pattern) => {
    const { host } = await start();
    expect(() => host.subscribe(pattern, () => {})).toThrow(expect.objectContaining({ code: 'config' }));
  });

  it('refuses a queue with white space, headers that are none, and a time-out below 0', async () => {
    const { host, caller } = await start();
    const refusal = expect.objectContaining({ code: 'config' });
    expect(() => host.subscribe('a', () => {}, { queue: 'a b' })).toThrow(refusal);
    expect(() => caller.publish('a', 1, { headers: { 'a b': 'c' } })).toThrow(refusal);
    expect(() => caller.publish('a', 1, { replyTo: 'b.*' })).toThrow(refusal);
    const secret = 'Bearer sk-secret\r\nX: y';
    expect(() => caller.publish('a', 1, { headers: { Authorization: secret } })).toThrow(
      expect.objectContaining({ code: 'config', message: expect.not.stringContaining('secret') }),
    );
    await expect(caller.request('a', {}, { timeoutMs: -1 })).rejects.toMatchObject({ code: 'config' });
    await expect(caller.request('a', {}, { timeoutMs: Number.NaN })).rejects.toMatchObject({ code: 'config' });
  });

  it('drains: handlers finish what has arrived, may still ask others, and replies go out', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    const finished: number[] = [];
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    host.subscribe(`${subject}.helper`, (message) => message.respond({ helped: true }), { queue: 'helpers' });
    host.subscribe(
      subject,
      async (message) => {
        await released;
        const help = await host.request(`${subject}.helper`, {}, { timeoutMs: 5_000 });
        finished.push((message.value() as { n: number }).n);
        message.respond(help.value());
      },
      { queue: 'workers' },
    );
    await host.flush();
    const replies = [1, 2, 3].map((n) => caller.request(subject, { n }, { timeoutMs: 10_000 }));
    await settle({ host, caller });
    const drained = host.drain();
    expect(() => host.subscribe('a', () => {})).toThrow(expect.objectContaining({ code: 'closed' }));
    release();
    expect((await Promise.all(replies)).map((reply) => reply.value())).toEqual(Array(3).fill({ helped: true }));
    await drained;
    expect(finished).toEqual([1, 2, 3]);
    expect(() => host.publish(subject, {})).toThrow(expect.objectContaining({ code: 'closed' }));
  });

  it('gives up a drain after its time, or when it is closed', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    let heard = 0;
    host.subscribe(subject, () => {
      heard += 1;
      return new Promise<void>(() => {});
    });
    await host.flush();
    caller.publish(subject, {});
    await expect.poll(() => heard).toBe(1);
    await host.drain({ timeoutMs: 50 });
    await expect(host.request(subject, {})).rejects.toMatchObject({ code: 'closed' });
  });

  it('closes: requests in flight reject, later use is refused, closing twice is fine', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    host.subscribe(subject, () => {});
    await host.flush();
    const reply = caller.request(subject, {});
    const outcome = expect(reply).rejects.toMatchObject({ code: 'closed' });
    await caller.flush();
    await caller.close();
    await caller.close();
    await outcome;
    expect(() => caller.publish(subject, {})).toThrow(expect.objectContaining({ code: 'closed' }));
    expect(() => caller.subscribe(subject, () => {})).toThrow(expect.objectContaining({ code: 'closed' }));
    await expect(caller.request(subject, {})).rejects.toMatchObject({ code: 'closed' });
    await expect(caller.drain()).rejects.toMatchObject({ code: 'closed' });
  });

  it('tells its state from the present one on, and ends after closed', async () => {
    const { host } = await start();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { type, at } of host.status) {
        seen.push(type);
        expect(at).toBeGreaterThan(1_600_000_000_000);
      }
    })();
    await new Promise((resolve) => setImmediate(resolve));
    await host.drain();
    await watching;
    expect(seen).toEqual(['connected', 'draining', 'closed']);
  });

  it('keeps sockets and timers alive while messages go round in circles', async () => {
    const { host, caller } = await start();
    const subject = uniqueId();
    let turns = 0;
    let stop = false;
    host.subscribe(subject, (message) => {
      turns += 1;
      if (!stop) host.publish(subject, message.value());
    });
    await host.flush();
    caller.publish(subject, {});
    await new Promise((resolve) => setTimeout(resolve, 20));
    stop = true;
    expect(turns).toBeGreaterThan(1);
  });
});
