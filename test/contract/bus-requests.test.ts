import { describe, expect, it } from 'vitest';
import type { Message } from '../../src/bus/bus.ts';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { busForEachTest, implementations } from './bus-implementations.ts';

describe.each(Object.entries(implementations))('the bus over %s', (_name, open) => {
  const { start, sendAndCollect } = busForEachTest(open);

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
});
