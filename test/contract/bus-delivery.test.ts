import { describe, expect, it } from 'vitest';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { busForEachTest, implementations, settle } from './bus-implementations.ts';

describe.each(Object.entries(implementations))('the bus over %s', (_name, open) => {
  const { start, sendAndCollect } = busForEachTest(open);

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
