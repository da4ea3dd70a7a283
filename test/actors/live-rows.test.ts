import { expect, it } from 'vitest';
import { CallRow } from '../../actors/call-row.ts';
import { Dispatcher } from '../../actors/dispatcher.ts';
import { failureOf } from '../../schemas/failure.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { limitsOf } from './dispatcher-bench.ts';

/** A dispatcher with a breaker that opens at the first failure, whose machine may break down as it is told of something. */
function brittle(breaksAt: string) {
  const clock = new VirtualClock();
  const dispatcher = new Dispatcher(
    {
      clock,
      limits: limitsOf({ concurrency: 2 }),
      resilience: {
        retry: null,
        breaker: { failureThreshold: 1, recoveryMs: 1_000, halfOpenMaxCalls: 1, excludeCodes: [] },
      },
      random: () => 0,
      machine: {
        send: ({ type }) => {
          if (type === breaksAt) throw new Error('broken');
        },
      },
      effects: { start: () => {}, stop: () => {}, retrying: () => {}, rescue: () => false, ended: () => {} },
    },
    { send: () => {} },
  );
  const submit = (id: string): CallRow => {
    const row = new CallRow({ id });
    dispatcher.receive({ type: 'call.submit', row });
    return row;
  };
  return { clock, dispatcher, submit, ids: () => dispatcher.rows().map(({ id }) => id) };
}

it('a call that begins is known throughout, also to whoever looks after the machine has failed meanwhile', async () => {
  const { clock, dispatcher, submit, ids } = brittle('breaker.trial');
  dispatcher.receive({ type: 'gate.open' });
  const failed = submit('failed');
  dispatcher.receive({ type: 'call.settle', row: failed, failure: failureOf('unavailable', 'down', {}), tokens: null });
  await clock.advance(1_000);
  expect(() => submit('trial')).toThrow('broken');
  expect([ids(), dispatcher.size]).toEqual([['trial'], 1]);
});

it('calls are listed oldest first, whether they wait or run, and whoever is before them', () => {
  const { dispatcher, submit, ids } = brittle('nothing');
  dispatcher.receive({ type: 'gate.open' });
  const [a, b] = ['a', 'b', 'c', 'd', 'e'].map(submit) as [CallRow, CallRow];
  expect(dispatcher.oldest(1)).toMatchObject({ begun: [{ id: 'a' }], waiting: [{ id: 'c' }] });
  dispatcher.receive({ type: 'call.settle', row: a, failure: null, tokens: null });
  expect([ids(), dispatcher.size, dispatcher.view().running]).toEqual([['b', 'c', 'd', 'e'], 4, 2]);
  dispatcher.receive({ type: 'call.settle', row: b, failure: null, tokens: null });
  expect(dispatcher.oldest(2).begun.map(({ id }) => id)).toEqual(['c', 'd']);
  expect([dispatcher.find('e')?.id, dispatcher.find('a')]).toEqual(['e', undefined]);
});
