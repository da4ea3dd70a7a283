import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Replay } from '../../actors/replay.ts';
import { journalEntry } from '../../schemas/journal.ts';
import { ActorBench, act, settings, step } from './actor-bench.ts';

describe('a journal', () => {
  it('leads a replay to the very state that was at every entry, whichever snapshot it begins with', () => {
    fc.assert(
      fc.property(settings, fc.array(step, { maxLength: 60 }), fc.nat(60), (limits, steps, at) => {
        const bench = new ActorBench(limits);
        for (const [index, event] of steps.entries()) {
          if (index === at) bench.snapshot();
          act(bench, event, index);
          bench.rest();
        }
        const entries = bench.entries.map((entry) => journalEntry.parse(JSON.parse(JSON.stringify(entry))));
        for (const begin of [0, entries.findLastIndex(({ type }) => type === 'snapshot')]) {
          const effects: string[] = [];
          const replay = new Replay({
            started: (row) => effects.push(`${replay.at} start ${row.id} ${row.attempts}`),
            retrying: (row, _failure, delayMs) => effects.push(`${replay.at} retry ${row.id} ${delayMs}`),
          });
          for (const entry of entries.slice(begin)) {
            replay.take(entry);
            const { life: _life, ...state } = replay.state();
            expect(JSON.stringify(state)).toBe(bench.states.get(entry.seq) ?? JSON.stringify(state));
            expect(replay.regions).toEqual(bench.regionsAt.get(entry.seq) ?? replay.regions);
          }
          const decided = bench.effects.filter((effect) => /^[\d.]+ (start|retry) /.test(effect));
          expect(effects).toEqual(decided.slice(decided.length - effects.length));
        }
      }),
      { numRuns: 300 },
    );
  });
});
