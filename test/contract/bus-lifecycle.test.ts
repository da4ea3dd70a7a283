import { describe, expect, it } from 'vitest';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { busForEachTest, implementations, settle } from './bus-implementations.ts';

describe.each(Object.entries(implementations))('the bus over %s', (_name, open) => {
  const { start } = busForEachTest(open);

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
});
