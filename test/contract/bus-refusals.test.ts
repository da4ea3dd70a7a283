import { describe, expect, it } from 'vitest';
import { busForEachTest, implementations } from './bus-implementations.ts';

describe.each(Object.entries(implementations))('the bus over %s', (_name, open) => {
  const { start } = busForEachTest(open);

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
});
