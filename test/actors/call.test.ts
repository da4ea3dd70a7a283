import { describe, expect, it } from 'vitest';
import { getInitialSnapshot, getNextSnapshot } from 'xstate';
import {
  callChart,
  callEvents,
  callState,
  callTable,
  hasEnded,
  isRunning,
  statusOf,
  stepCall,
} from '../../actors/call.ts';
import { callStatuses } from '../../schemas/call.ts';

type Snapshot = ReturnType<typeof getInitialSnapshot<typeof callChart>>;

const nameOf = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : Object.entries(value as object)
        .map(([outer, inner]) => `${outer}.${nameOf(inner)}`)
        .join();

describe('the table of the call chart', () => {
  it('agrees with the chart on every path', () => {
    const start = getInitialSnapshot(callChart);
    const seen = new Set<string>();
    const open: [Snapshot, number][] = [[start, 0]];
    let arrows = 0;
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const [snapshot, state] = next;
      const name = nameOf(snapshot.value);
      expect(callTable.names[state]).toBe(name);
      if (seen.has(name)) continue;
      seen.add(name);
      for (const type of callEvents) {
        const after = snapshot.status === 'done' ? snapshot : getNextSnapshot(callChart, snapshot, { type });
        const moved = nameOf(after.value) !== name;
        const to = stepCall(state, type);
        expect(to >= 0, `${name} on ${type}`).toBe(moved);
        if (!moved) continue;
        arrows += 1;
        open.push([after, to]);
      }
    }
    expect(seen.size).toBe(callTable.names.length);
    expect(arrows).toBe([...callTable.next].filter((to) => to >= 0).length);
  });

  it('shows every status there is, and no other', () => {
    expect(new Set(callTable.statuses)).toEqual(new Set(callStatuses));
  });

  it('lets nothing leave a final status', () => {
    for (const [state, status] of callTable.statuses.entries()) {
      if (status === 'pending' || status === 'processing') continue;
      expect(callEvents.map((event) => stepCall(state, event))).toEqual(callEvents.map(() => -1));
    }
  });

  it('names the states that the dispatcher asks about', () => {
    expect(Object.values(callState).every((state) => state >= 0)).toBe(true);
    expect(statusOf(callState.outside)).toBe('pending');
    expect(isRunning(callState.answering)).toBe(true);
    expect(hasEnded(callState.queued)).toBe(false);
    expect(hasEnded(stepCall(callState.queued, 'call.cancel'))).toBe(true);
  });
});
