import { describe, expect, it } from 'vitest';
import { CallRow } from '../../actors/call-row.ts';
import { instantOf } from '../../actors/instant.ts';

describe('a row', () => {
  it('has the terms that were said and the plain ones beside them, whoever came before', () => {
    const said = [
      {},
      { caller: 'a' },
      { caller: 'a', weight: 3 },
      { caller: 'a', priority: -2 },
      { streaming: true },
      {},
    ];
    const rows = said.map((terms, index) => new CallRow({ id: String(index), ...terms }));
    const plain = { caller: '', priority: 0, weight: 1, streaming: false };
    expect(rows.map(({ caller, priority, weight, streaming }) => ({ caller, priority, weight, streaming }))).toEqual(
      said.map((terms) => ({ ...plain, ...terms })),
    );
  });

  it('has not been queued nor started until it is said when', () => {
    const row = new CallRow({ id: 'new' });
    expect([row.queuedAt, row.startedAt]).toEqual([-1, null]);
    row.queuedAt = 1_700_000_000_000;
    row.startedAt = 1_700_000_000_000.5;
    expect([row.queuedAt, row.startedAt]).toEqual([1_700_000_000_000, 1_700_000_000_000.5]);
  });
});

describe('an instant', () => {
  it('is the eighth of a millisecond that a time is in, and one object for all in it', () => {
    const times = [10, 10.1, 10.125, 10.2, 10.25, 11, 10];
    expect(times.map((at) => instantOf(at).at)).toEqual([10, 10, 10.125, 10.125, 10.25, 11, 10]);
    expect(instantOf(10.06)).toBe(instantOf(10.12));
  });
});
