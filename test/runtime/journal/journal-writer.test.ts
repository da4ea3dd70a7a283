import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { writeActor } from '../../../actors/actor-state.ts';
import type { JournalEntry } from '../../../schemas/journal.ts';
import { iModel } from '../../../src/imodel.ts';
import { Journal } from '../../../src/runtime/journal/journal.ts';
import { JournalWriter } from '../../../src/runtime/journal/journal-writer.ts';
import { checkJournal } from '../../../src/runtime/journal/read-journal.ts';
import { replay } from '../../../src/runtime/journal/replay.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('a journal whose place takes nothing for long', () => {
  it('keeps so many entries, then says how many are missing, and is replayed from there on', async () => {
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { actor } = new iModel({ model: 'scripted/echo' }).live;
    const { dispatcher } = actor;
    const journal = new Journal({
      actor: () => ({
        modelId: 'gpt',
        limits: dispatcher.limits,
        resilience: { retry: null, breaker: null },
        state: writeActor('running', dispatcher),
        rows: [],
      }),
      calls: () => 0,
      now: () => 1_000,
      size: 1_024,
      requestOf: undefined,
    });
    const written: JournalEntry[] = [];
    let isDown = true;
    const writer = new JournalWriter({
      place: 'a disk',
      write: async (records) => {
        if (isDown) throw new Error('no space left on device');
        for (const { line } of records) written.push(JSON.parse(line));
      },
    });
    journal.attach(writer);
    for (let count = 0; count < 80; count += 1) {
      for (let entry = 0; entry < 1_000; entry += 1) journal.recorder.note(null, 'kind', 'name', 'text', 1_000);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(written).toEqual([]);
    expect(warning).toHaveBeenCalledTimes(1);
    isDown = false;
    await vi.advanceTimersByTimeAsync(20_000);
    journal.recorder.note(null, 'kind', 'name', 'the last', 1_000);
    await writer.close();
    const gap = written.findIndex(({ type }) => type === 'dropped');
    expect(written[gap]).toMatchObject({ count: (written[gap]?.seq ?? 0) - (written[gap - 1]?.seq ?? 0) - 1 });
    expect(gap).toBeGreaterThan(60_000);
    expect(written[gap + 1]?.type).toBe('snapshot');
    expect(written.at(-1)).toMatchObject({ type: 'note', text: 'the last' });
    expect(checkJournal(written)).toHaveLength(written.length);
    expect(replay(written).state.calls).toEqual([]);
    warning.mockRestore();
  });
});
