import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JournalEntry } from '../../../schemas/journal.ts';
import { IModelError } from '../../../src/errors.ts';
import { iModel } from '../../../src/imodel.ts';
import type { IModelOptions } from '../../../src/imodel-options.ts';
import { parseJournal, readJournal } from '../../../src/runtime/journal/read-journal.ts';
import { explain, replay } from '../../../src/runtime/journal/replay.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';

const request = { messages: [{ role: 'user', content: 'hello' }] };
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imodel-replay-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

interface Played {
  readonly journal: JournalEntry[];
  /** What `toDict` said, by the number of the entry before. */
  readonly states: Map<number, string>;
}

/** Plays on an iModel whose calls take 100 ms, and keeps its journal. */
async function played(
  options: Partial<IModelOptions>,
  play: (model: iModel, clock: VirtualClock, note: () => void) => Promise<void>,
): Promise<Played> {
  const clock = new VirtualClock(1_000_000);
  const own = { id: 'gpt', model: 'scripted/demo', text: 'a b', delayMs: 100, windowMargin: 0 };
  const model = new iModel({ ...own, journal: { requests: true }, clock, ...options });
  const states = new Map<number, string>();
  const note = (): void => {
    states.set(model.journal.at(-1)?.seq ?? 0, JSON.stringify(model.toDict({ state: true }).state));
  };
  await play(model, clock, note);
  const { journal } = model;
  await model.close();
  return { journal, states };
}

function call(model: iModel, callId: string, options: Parameters<iModel['invoke']>[1] = {}): void {
  model.invoke(request, { callId, ...options }).catch(() => {});
}

/** The phases of a call, as `name ms`. */
function phasesOf(journal: readonly unknown[], callId: string): string[] {
  return explain(journal, callId).phases.map(({ name, ms, attempt }) => `${name}${attempt ?? ''} ${ms}`);
}

function failureOf(act: () => unknown): { readonly code: string; readonly field: string; readonly message: string } {
  try {
    act();
  } catch (error) {
    if (!IModelError.is(error)) throw error;
    const { code, message, field = '' } = error.failure as Extract<IModelError['failure'], { code: 'config' }>;
    return { code, field, message };
  }
  throw new Error('Expected it to throw');
}

describe('replay', () => {
  it('gives the state at any number and any time, as toDict wrote it then', async () => {
    const { journal, states } = await played(
      { concurrencyLimit: 1, limitRequests: 2, interval: 1 },
      async (model, clock, note) => {
        for (let index = 0; index < 4; index += 1) call(model, `c${index}`, { caller: 'a', priority: index % 2 });
        for (let turn = 0; turn < 8; turn += 1) {
          await clock.advance(turn < 2 ? 80 : 300);
          note();
        }
      },
    );
    expect(states.size).toBeGreaterThan(3);
    for (const [seq, state] of states) {
      const at = JSON.parse(state).saved_at;
      const next = journal.find((entry) => entry.seq === seq + 1);
      if (next === undefined || next.at > at)
        expect(JSON.stringify(replay(journal, { until: new Date(at) }).state)).toBe(state);
      const { saved_at: _at, ...then } = replay(journal, { until: seq }).state;
      expect({ ...then, saved_at: at }).toMatchObject({ calls: JSON.parse(state).calls });
    }
    const end = replay(journal);
    expect(end).toMatchObject({
      model_id: 'gpt',
      seq: journal.at(-1)?.seq,
      mode: 'idle',
      regions: { rate: 'open' },
    });
  });

  it('says at which moments it knows a state', async () => {
    const { journal } = await played({}, async (model, clock) => {
      call(model, 'a');
      await clock.advance(500);
    });
    for (const until of [0, 1_000, 1.5, Number.NaN]) {
      expect(failureOf(() => replay(journal, { until }))).toMatchObject({ code: 'config', field: 'until' });
    }
    const early = failureOf(() => replay(journal, { until: new Date(5) }));
    expect(early).toMatchObject({ code: 'config', field: 'until' });
    expect(early.message).toContain('1970-01-01T00:16:40.000Z');
    expect(failureOf(() => replay(journal.filter(({ type }) => type !== 'snapshot')))).toMatchObject({
      field: 'journal',
    });
    expect(failureOf(() => replay([]))).toMatchObject({ code: 'config', field: 'journal' });
    expect(failureOf(() => replay('{}' as unknown as unknown[]))).toMatchObject({ code: 'config', field: 'journal' });
    const gap = [...journal.slice(0, 3), { seq: 9, at: 1_000_100, type: 'dropped', count: 5 }];
    expect(failureOf(() => replay(gap)).message).toContain('no snapshot up to entry 9');
  });

  it('goes on from run to run, though two wrote to one file at a time, and one line by line twice', async () => {
    const file = join(folder, 'two.jsonl');
    const clock = new VirtualClock(1_000_000);
    const options = { model: 'scripted/demo', text: 'a b', clock, journal: { file } };
    const one = new iModel({ id: 'gpt', ...options });
    const other = new iModel({ id: 'gpt', ...options });
    for (const model of [one, other, one]) {
      const ended = model.invoke(request);
      await clock.advance(10);
      await ended;
    }
    await Promise.all([one.close(), other.close()]);
    await new iModel({ id: 'llama', ...options }).close();
    const lines = (await readFile(file, 'utf8')).split('\n');
    // As after a failure in the middle of a batch.
    await writeFile(file, [...lines.slice(0, 5), '{"run":"', ...lines.slice(3)].join('\n'));
    expect(failureOf(() => parseJournal(lines.join('\n')))).toMatchObject({ code: 'config', field: 'id' });
    await expect(readJournal(file, { id: 'mistral' })).rejects.toMatchObject({ code: 'config' });
    const entries = await readJournal(file, { id: 'gpt' });
    expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_entry, index) => index + 1));
    const runs = [...new Set(entries.map(({ run }) => run))];
    expect(runs).toHaveLength(2);
    const completed = runs.map((run) => {
      const last = entries.findLast((entry) => entry.run === run)?.seq;
      return replay(entries, { until: last }).state.counters.completed;
    });
    expect(completed.sort()).toEqual([1, 2]);
  });
});

describe('explain', () => {
  it('names every reason for which a call waits, and how long', async () => {
    const { journal } = await played(
      { concurrencyLimit: 2, limitRequests: 3, interval: 1, queueCapacity: 2 },
      async (model, clock) => {
        for (let index = 0; index < 5; index += 1) call(model, `c${index}`);
        await clock.advance(500);
        model.pause();
        await clock.advance(1_000);
        model.resume();
        await clock.advance(2_000);
      },
    );
    expect(phasesOf(journal, 'c0')).toEqual(['attempt1 100']);
    expect(phasesOf(journal, 'c2')).toEqual(['concurrency 100', 'attempt1 100']);
    expect(phasesOf(journal, 'c3')).toEqual(['concurrency 100', 'requests 400', 'paused 1000', 'attempt1 100']);
    expect(phasesOf(journal, 'c4')[0]).toBe('queue 100');
    const { waited, ended, ahead, started_at: startedAt, phases } = explain(journal, 'c3');
    expect(waited).toEqual({ concurrency: 100, requests: 400, paused: 1_000 });
    expect(ended).toMatchObject({ by: 'endpoint', failure: null });
    expect([ahead, startedAt]).toEqual([1, 1_001_500]);
    expect(phases[1]).toMatchObject({ used: 3, limit: 3, due_at: 1_001_000, from: 1_000_100, until: 1_000_500 });
  });

  it('tells the token limit from the request limit', async () => {
    const { journal } = await played({ limitTokens: 10, interval: 1 }, async (model, clock) => {
      for (const callId of ['a', 'b']) {
        model.invoke({ prompt: 'x', estimatedTokens: 8, delay_ms: 10, model: 'demo' }, { callId }).catch(() => {});
      }
      await clock.advance(3_000);
    });
    expect(explain(journal, 'b').phases[0]).toMatchObject({ name: 'tokens', used: 8, limit: 10 });
  });

  it('tells attempts, backoff, cooling and the breaker apart', async () => {
    const { journal } = await played(
      {
        retry: { maxRetries: 1, baseDelay: 0.2, jitter: false },
        breaker: { failureThreshold: 1, recoveryTime: 9 },
        failures: (index: number) =>
          index === 1 ? { code: 'rate_limited', retryAfterMs: 400 } : index > 2 ? 'unavailable' : null,
      },
      async (model, clock) => {
        call(model, 'first');
        await clock.advance(150);
        call(model, 'second');
        await clock.advance(2_000);
        call(model, 'third');
        await clock.advance(100);
      },
    );
    const [attempt, wait] = explain(journal, 'first').phases;
    expect(attempt).toMatchObject({ name: 'attempt', attempt: 1, failure: { code: 'rate_limited' } });
    expect(wait).toMatchObject({ name: 'backoff' });
    expect(phasesOf(journal, 'second')[0]).toMatch(/^cooling /);
    expect(explain(journal, 'third')).toMatchObject({ status: 'failed', ended: { by: 'breaker' }, phases: [] });
  });

  it('counts hooks before the first attempt, and says who ended a call', async () => {
    const { journal } = await played(
      {
        concurrencyLimit: 1,
        hookRegistry: {
          hooks: { pre_invocation: () => new Promise((resolve) => setTimeout(resolve, 0)), post_invocation: () => {} },
        },
      },
      async (model, clock) => {
        call(model, 'hooked');
        await expect.poll(() => model.journal.some((entry) => entry.type === 'call.sent')).toBe(true);
        call(model, 'cancelled');
        call(model, 'late', { timeoutMs: 20 });
        call(model, 'closed');
        await clock.advance(30);
        model.call('cancelled')?.cancel();
        await Promise.all([clock.advance(30), model.close()]);
      },
    );
    const endings = ['cancelled', 'late', 'closed'].map((id) => explain(journal, id).ended?.by);
    expect(endings).toEqual(['caller', 'deadline', 'close']);
    expect(journal.filter(({ type }) => type === 'call.hook').length).toBeGreaterThan(0);
  });

  it('follows a call into the process that goes on with it', async () => {
    const file = join(folder, 'restored.jsonl');
    const clock = new VirtualClock(1_000_000);
    const model = new iModel({
      id: 'gpt',
      model: 'scripted/demo',
      text: 'a',
      delayMs: 100,
      concurrencyLimit: 1,
      clock,
      journal: { file },
    });
    for (const id of ['runs', 'waits', 'waits-too']) call(model, id);
    await clock.advance(50);
    const dict = JSON.parse(JSON.stringify(model.toDict({ state: true })));
    // Its process dies here: nothing more is heard of it.
    await expect.poll(() => readFile(file, 'utf8').catch(() => '')).toContain('waits-too');
    const dead = await readFile(file, 'utf8');
    await model.close();
    await writeFile(file, dead);
    const next = new VirtualClock(1_005_000);
    const again = iModel.fromDict(dict, { clock: next, journal: { file } });
    await next.advance(250);
    await again.close();
    const journal = await readJournal(file);
    expect(JSON.stringify(journal)).not.toContain('hello');
    expect(explain(journal, 'runs')).toMatchObject({ status: 'failed', ended: { by: 'restart' } });
    expect(phasesOf(journal, 'waits')).toEqual(['stopped 5000', 'attempt1 100']);
    expect(phasesOf(journal, 'waits-too').slice(-2)).toEqual(['concurrency 100', 'attempt1 100']);
    expect(explain(journal, 'waits')).toMatchObject({ submitted_at: 1_000_000, status: 'completed' });
  });

  it('tells of the last call of an id, and of no other', async () => {
    const { journal } = await played({}, async (model, clock) => {
      call(model, 'same');
      await clock.advance(200);
      call(model, 'same');
      await clock.advance(50);
    });
    expect(explain(journal, 'same')).toMatchObject({
      earlier: 1,
      status: 'processing',
      ended: null,
      submitted_at: 1_000_200,
    });
    expect(failureOf(() => explain(journal, 'other'))).toMatchObject({ code: 'config', field: 'call' });
  });
});

describe('a damaged journal', () => {
  async function textOfJournal(): Promise<string> {
    const { journal } = await played({ limitRequests: 3 }, async (model, clock) => {
      for (let index = 0; index < 5; index += 1) call(model, `c${index}`);
      await clock.advance(500);
    });
    return journal.map((entry) => JSON.stringify({ run: 'r', ...entry })).join('\n');
  }

  it('is refused with the line and the path in it', async () => {
    const lines = (await textOfJournal()).split('\n');
    const edited = (index: number, change: (entry: Record<string, unknown>) => void): string => {
      const entry = JSON.parse(lines[index] ?? '');
      change(entry);
      return lines.with(index, JSON.stringify(entry)).join('\n');
    };
    const cases: [string, string, string][] = [
      [edited(0, (entry) => Object.assign(entry, { journal_version: 2 })), 'journal_version', 'j:1'],
      [edited(3, (entry) => Object.assign(entry, { at: 'noon' })), 'at', 'j:4'],
      [edited(3, (entry) => Object.assign(entry, { who: { id: 'c0', priority: 99 } })), 'who.priority', 'j:4'],
      [edited(0, (entry) => Object.assign(entry.state as object, { blocked: 'moon' })), 'state.blocked', 'j:1'],
      [edited(4, (entry) => Object.assign(entry, { type: 'call.vanish' })), 'type', 'j:5'],
      [lines.with(4, 'null').join('\n'), 'j:5', 'j:5'],
      [lines.with(4, 'hello').join('\n'), 'j:5', 'j:5'],
      [lines.with(4, (lines[4] ?? '').slice(0, 30)).join('\n'), 'j:5', 'j:5'],
      [lines.toSpliced(4, 1).join('\n'), 'seq', 'j:5'],
      [lines.toSpliced(4, 0, lines[9] ?? '').join('\n'), 'seq', 'j:5'],
    ];
    for (const [text, field, place] of cases) {
      const failure = failureOf(() => parseJournal(text, { name: 'j' }));
      expect(failure).toMatchObject({ code: 'config', field });
      expect(failure.message).toContain(place);
    }
    await expect(readJournal(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'config' });
  });

  it('is read up to a last line that has no end', async () => {
    const text = await textOfJournal();
    const whole = parseJournal(text);
    expect(whole.isCutShort).toBe(false);
    const cut = parseJournal(text.slice(0, -20));
    expect([cut.isCutShort, cut.entries.length]).toEqual([true, whole.entries.length - 1]);
    expect(parseJournal('')).toEqual({ entries: [], isCutShort: false });
  });

  it('is replayed or refused, whatever was done to it, but never hangs or leaves the class of our errors', async () => {
    const lines = (await textOfJournal()).split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    const value = fc.oneof(
      fc.constantFrom(null, 0, -1, 1e300, '', 'c0', true, [], {}, Number.MAX_SAFE_INTEGER),
      fc.jsonValue(),
    );
    await fc.assert(
      fc.property(fc.nat(lines.length - 1), fc.nat(1_000), value, (index, pick, put) => {
        const journal = structuredClone(lines);
        damage(journal[index] as Record<string, unknown>, pick, put);
        for (const act of [() => replay(journal), () => explain(journal, 'c4')]) {
          try {
            act();
          } catch (error) {
            if (!IModelError.is(error) || error.code !== 'config') throw error;
          }
        }
        expect(({} as Record<string, unknown>).polluted).toBeUndefined();
      }),
      { numRuns: 400 },
    );
  }, 60_000);
});

/** Puts a value in the place of another, however deep. */
function damage(root: Record<string, unknown>, pick: number, put: unknown): void {
  const places: [Record<string, unknown>, string][] = [];
  const walk = (node: Record<string, unknown>): void => {
    for (const [key, value] of Object.entries(node)) {
      places.push([node, key]);
      if (typeof value === 'object' && value !== null) walk(value as Record<string, unknown>);
    }
  };
  walk(root);
  const [node, key] = places[pick % places.length] ?? [root, 'type'];
  node[key] = put;
}
