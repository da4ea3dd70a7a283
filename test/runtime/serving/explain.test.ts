import { describe, expect, it } from 'vitest';
import { nodeExplanation } from '../../../schemas/explanation.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { connect } from '../../../src/runtime/remote/remote-model.ts';
import { buses, serveScripted } from '../../integration/served-model.ts';

describe.each(Object.entries(buses))('a served iModel over %s', (_name, open) => {
  it('tells of a call why it waits, while it does and afterwards, without its prompt', async () => {
    await using served = await serveScripted(open, { delay_ms: 100 }, { concurrencyLimit: 1 });
    const model = connect(served.caller).model(served.id);
    const calls = ['first', 'second'].map((callId) => model.invoke('a secret', { callId, caller: 'me' }));
    await expect.poll(async () => (await model.state()).queue.waiting).toBe(1);
    const waiting = await model.explain('second');
    expect(waiting).toMatchObject({
      call_id: 'second',
      model_id: served.id,
      caller: 'me',
      status: 'pending',
      ended: null,
    });
    expect(waiting.phases).toMatchObject([{ name: 'concurrency', used: 1, limit: 1, until: null }]);
    await Promise.all(calls);
    const over = await model.explain('second');
    expect(over).toMatchObject({ status: 'completed', ended: { by: 'endpoint' } });
    expect(over.waited.concurrency).toBeGreaterThan(0);
    const reply = await served.caller.request(subjects.explain(served.id), { call_id: 'second' }, { timeoutMs: 5_000 });
    expect(nodeExplanation.parse(reply.value()).node).toEqual(expect.any(String));
    expect(JSON.stringify(reply.value())).not.toContain('secret');
  });

  it('refuses to tell of a call that it does not know, and of none', async () => {
    await using served = await serveScripted(open);
    const model = connect(served.caller).model(served.id);
    await expect(model.explain('nobody')).rejects.toMatchObject({
      code: 'config',
      failure: { field: 'call', message: expect.stringContaining('knows no call `nobody`') },
    });
    await expect(model.explain('a b')).rejects.toMatchObject({ code: 'config' });
    for (const body of [{}, { call_id: 5 }, 'call', []]) {
      const reply = await served.caller.request(subjects.explain(served.id), body as object, { timeoutMs: 5_000 });
      expect(reply.value()).toMatchObject({ failure: { code: 'invalid_request' } });
    }
  });
});
