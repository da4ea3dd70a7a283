import { beforeAll, expect, it, vi } from 'vitest';
import { iModel } from '../../src/index.ts';
import { startUpstream } from '../../src/testing/upstream.ts';

const request = { messages: [{ role: 'user', content: 'hello' }] };
const answer = { choices: [{ message: { content: 'at last' }, finish_reason: 'stop' }] };
const callers = { atOnce: 40, later: 10 };
const stormMs = 1_500;
const waitMs = 1_000;

/** So long the first burst, all of it written before anything was known, may take to be counted on a busy machine. */
const burstMs = 800;

// Code that runs for the first time is slow, and would make a long burst of a short one.
beforeAll(async () => {
  await using upstream = await startUpstream((_request, reply) => reply.json(answer));
  await using model = new iModel({ provider: 'local', model: 'm', baseUrl: upstream.url });
  await Promise.all(Array.from({ length: callers.atOnce }, () => model.invoke(request)));
});

it('offers a vendor in a storm of 429 hardly more than one attempt per call once Retry-After is known, and none before', async () => {
  // All by the upstream's own clock.
  let beganAt = 0;
  let wantedAt = 0;
  let offered = 0;
  const tooEarly: number[] = [];
  await using upstream = await startUpstream(({ receivedAt }, reply) => {
    if (beganAt === 0) beganAt = receivedAt;
    if (receivedAt > beganAt + burstMs) {
      offered += 1;
      if (receivedAt < wantedAt) tooEarly.push(wantedAt - receivedAt);
    }
    if (receivedAt - beganAt > stormMs) {
      reply.json(answer);
      return;
    }
    wantedAt = performance.now() + waitMs;
    reply.json({ error: { message: 'slow down' } }, 429, { 'retry-after': String(waitMs / 1_000) });
  });
  await using model = new iModel({ provider: 'local', model: 'm', baseUrl: upstream.url });
  const first = Array.from({ length: callers.atOnce }, () => model.invoke(request));
  await vi.waitFor(() => expect(model.state.mode).toBe('cooling'));
  // Those that come now have not been refused themselves, and wait with the others.
  const later = Array.from({ length: callers.later }, () => model.invoke(request));
  const calls = await Promise.all([...first, ...later]);

  expect(new Set(calls.map(({ status }) => status))).toEqual(new Set(['completed']));
  expect(tooEarly).toEqual([]);
  // The vendor says 1 s to the end: one attempt found out that this was too little, and the next waited for twice as long.
  expect(offered / calls.length).toBeLessThanOrEqual(1.2);
});
