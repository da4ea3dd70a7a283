import { describe, expect, it } from 'vitest';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { busForEachTest, implementations, settle } from './bus-implementations.ts';

describe.each(Object.entries(implementations))('the bus over %s', (_name, open) => {
  const { start } = busForEachTest(open);

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
});
