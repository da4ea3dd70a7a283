import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { Replay } from '../../../actors/replay.ts';
import { type JournalEntry, journalEntry } from '../../../schemas/journal.ts';
import { iModel } from '../../../src/imodel.ts';
import type { IModelOptions } from '../../../src/imodel-options.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';

const messages = [{ role: 'user', content: 'hello' }];
const folders: string[] = [];

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'imodel-journal-'));
  folders.push(path);
  return path;
}

function scripted(options: Partial<IModelOptions> = {}): { model: iModel; clock: VirtualClock } {
  const clock = new VirtualClock(1_000_000);
  const model = new iModel({
    id: 'one',
    model: 'scripted/demo',
    text: 'a b c',
    delayMs: 300,
    windowMargin: 0,
    clock,
    ...options,
  });
  return { model, clock };
}

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

afterEach(async () => {
  for (const path of folders.splice(0)) await rm(path, { recursive: true, force: true });
});

describe('the journal of an iModel', () => {
  it('leads a replay to what toDict said after each step, byte by byte', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant('call' as const), by: fc.nat(2), how: fc.nat(3) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat(1_500) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), pick: fc.nat(9) }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const, 'limits' as const) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const { model, clock } = scripted({
          limitRequests: 3,
          interval: 2,
          concurrencyLimit: 2,
          queueCapacity: 3,
          breaker: { failureThreshold: 2, recoveryTime: 1 },
          failures: (call: number) => (call % 3 === 0 ? 'unavailable' : null),
          retry: { maxRetries: 1, baseDelay: 0.2 },
          journal: { requests: true },
        });
        const states = new Map<number, string>();
        const calls = [];
        for (const [index, one] of steps.entries()) {
          if (one.do === 'call') {
            const call = model.createApiCalling({ messages });
            calls.push(call);
            void model
              .invoke(call, {
                caller: `caller ${one.by}`,
                priority: one.by,
                ...(one.how === 2 ? { timeoutMs: 900 } : {}),
              })
              .catch(() => {});
          } else if (one.do === 'advance') await clock.advance(one.ms);
          else if (one.do === 'cancel') calls[one.pick % Math.max(1, calls.length)]?.cancel();
          else if (one.do === 'limits') model.live.control({ action: 'limits', limit_requests: 1 + (index % 4) });
          else model[one.do]();
          await settle();
          states.set(model.live.journal.recorder?.seq ?? 0, JSON.stringify(model.toDict({ state: true }).state));
        }
        const entries = model.journal.map((entry) => journalEntry.parse(JSON.parse(JSON.stringify(entry))));
        const replay = new Replay();
        for (const entry of entries) {
          replay.take(entry);
          const was = states.get(entry.seq);
          if (was === undefined) continue;
          replay.pass(JSON.parse(was).saved_at);
          expect(JSON.stringify(replay.liveState())).toBe(was);
        }
        await model.close();
      }),
      { numRuns: 60 },
    );
  }, 30_000);

  it('holds the latest entries, from a snapshot on, and no prompt unless told to', async () => {
    const { model, clock } = scripted({ delayMs: 0, journal: { size: 16 } });
    for (let call = 0; call < 50; call += 1) {
      const ended = model.invoke({ messages: [{ role: 'user', content: 'a secret' }] });
      await clock.advance(10);
      await ended;
    }
    const entries = model.journal;
    expect(entries.length).toBeLessThanOrEqual(40);
    expect(entries[0]?.type).toBe('snapshot');
    expect(JSON.stringify(entries)).not.toContain('secret');
    const replay = new Replay();
    for (const entry of entries) replay.take(entry);
    expect(replay.view().counters).toMatchObject({ submitted: 50, completed: 50 });
    await model.close();
  });

  it('is empty when it is switched off', async () => {
    const { model } = scripted({ journal: null });
    void model.invoke({ messages }).catch(() => {});
    expect(model.journal).toEqual([]);
    await model.close();
  });

  it('goes to a file too, one entry a line, also after another process was killed in the middle of one', async () => {
    const file = join(await folder(), 'deep', 'one.jsonl');
    for (let run = 0; run < 2; run += 1) {
      const model = new iModel({ id: 'one', model: 'scripted/demo', text: 'hi', journal: { file } });
      await model.invoke({ messages });
      await model.close();
    }
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    const entries = lines.map((line): JournalEntry => journalEntry.parse(JSON.parse(line)));
    expect(entries.filter(({ type }) => type === 'snapshot')).toHaveLength(2);
    expect(entries.filter(({ type }) => type === 'call.submit')).toHaveLength(2);
    expect(entries.at(-1)?.type).toBe('calls.stop');
  });

  it('writes a request that JSON cannot hold as far as it can, and goes on', async () => {
    const file = join(await folder(), 'odd.jsonl');
    const own = { provider: 'mine', model: 'm', baseUrl: 'http://127.0.0.1:9', apiKey: 'sk-abcdef' };
    const model = new iModel({ ...own, journal: { file, requests: true } });
    model.pause();
    const call = model.invoke({
      messages,
      tools: [{ n: 1n, s: '\ud800', at: new Date(0), p: JSON.parse('{"__proto__":{}}') }],
    });
    call.catch(() => {});
    await model.close({ drain: false });
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    const entries = lines.map((line): JournalEntry => journalEntry.parse(JSON.parse(line)));
    const submitted = entries.find(({ type }) => type === 'call.submit');
    expect(submitted).toMatchObject({
      who: { request: { payload: { tools: [{ n: '<unserializable>', at: '1970-01-01T00:00:00.000Z' }] } } },
    });
    expect(entries.map(({ type }) => type)).toContain('calls.stop');
  });
});
