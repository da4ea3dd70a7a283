import { expect, it, vi } from 'vitest';
import { iModel } from '../../src/index.ts';
import { startUpstream } from '../../src/testing/upstream.ts';

const messages = [{ role: 'user', content: 'hello' }];
const callers = { atOnce: 40, later: 10 };
const stormMs = 1_500;

it('offers a vendor in a storm of 429 hardly more than one attempt per call once Retry-After is known, and none before', async () => {
  // All by the upstream's own clock.
  let beganAt = 0;
  let wantedAt = 0;
  const tooEarly: number[] = [];
  await using upstream = await startUpstream(({ receivedAt }, reply) => {
    if (beganAt === 0) beganAt = receivedAt;
    const isKnown = upstream.requests.length > callers.atOnce;
    if (isKnown && receivedAt < wantedAt) tooEarly.push(wantedAt - receivedAt);
    if (receivedAt - beganAt > stormMs) {
      reply.json({ choices: [{ message: { content: 'at last' }, finish_reason: 'stop' }] });
      return;
    }
    wantedAt = performance.now() + 1_000;
    reply.json({ error: { message: 'slow down' } }, 429, { 'retry-after': '1' });
  });
  await using model = new iModel({ provider: 'local', model: 'm', baseUrl: upstream.url });
  const invoke = (): Promise<{ status: string }> => model.invoke({ messages });

  const first = Array.from({ length: callers.atOnce }, invoke);
  await upstream.request(callers.atOnce - 1);
  await vi.waitFor(() => expect(model.state.mode).toBe('cooling'));
  // Those that come now have not been refused themselves, and wait with the others.
  const calls = await Promise.all([...first, ...Array.from({ length: callers.later }, invoke)]);

  expect(new Set(calls.map(({ status }) => status))).toEqual(new Set(['completed']));
  expect(tooEarly).toEqual([]);
  // The vendor says 1 s to the end: one attempt found out that this was too little, and the next waited for twice as long.
  const offered = upstream.requests.length - callers.atOnce;
  expect(offered / calls.length).toBeLessThanOrEqual(1.2);
});
