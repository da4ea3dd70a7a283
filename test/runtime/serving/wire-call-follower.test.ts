import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { aliveMessage } from '../../../schemas/wire.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { until } from '../../integration/private-server.ts';
import { buses, serveScripted } from '../../integration/served-model.ts';
import { serveEachTest } from './serve-each-test.ts';
import { hello, Listener, silent } from './stream-listener.ts';

describe.each(Object.entries(buses))('streams over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('a reader', () => {
    it('of an invoked call that takes long is shown that it lives, and may leave it to others to listen', async () => {
      const served = await serve();
      const outcome = served.remote.invoke({ ...hello, delay_ms: 1_500 }, { callId: 'long' });
      const listener = new Listener(served.host, served.id, 'long');
      await until(() => listener.messages.length > 1);
      listener.close();
      expect((await outcome).status).toBe('completed');
      expect(aliveMessage.parse(listener.messages[0]?.value()).last_seq).toBe(0);
    });
  });
});

describe('streams over nats', () => {
  const open = buses.nats as NonNullable<(typeof buses)[string]>;

  it('end an invoked call that takes long when its caller is gone', async () => {
    await using served = await serveScripted(open);
    const outcome = served.remote.invoke(silent, { callId: 'long' }).then(
      () => null,
      (error: unknown) => error,
    );
    const listener = new Listener(served.host, served.id, 'long');
    await until(() => listener.messages.length > 1);
    listener.close();
    await served.host.flush();
    expect(served.endpoint.running.size).toBe(1);
    const leftAt = Date.now();
    await served.caller.close();
    await until(() => served.endpoint.running.size === 0);
    expect(Date.now() - leftAt).toBeLessThan(2_500);
    expect(await outcome).toMatchObject({ code: 'closed' });
  });

  it('end an invoked call whose caller promised to follow it and has not, and no other', async () => {
    const clock = new VirtualClock();
    await using served = await serveScripted(open, {}, { clock });
    const failures: unknown[] = [];
    served.model.observe(({ type, failure }) => type === 'post_invocation' && failures.push(failure));
    const invoke = (token: string): void => {
      served.caller.request(subjects.invoke(served.id), silent, { token }).catch(() => {});
    };
    invoke(`follow-${randomUUID()}`);
    invoke(randomUUID());
    await until(() => served.endpoint.running.size === 2);
    await clock.advance(14_000);
    expect(served.endpoint.running.size).toBe(2);
    await clock.advance(2_000);
    await until(() => served.endpoint.running.size === 1);
    expect(failures).toMatchObject([{ code: 'cancelled', reason: 'its caller is gone' }]);
  });
});
