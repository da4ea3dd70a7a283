import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { iModel } from '../../src/imodel.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { startNode } from '../cli/program.ts';
import { begunAtOnce, type Entry, play, type Step } from './restart/play.mjs';

const windowMs = 1_000;

const submit = fc.record({
  do: fc.constant('submit' as const),
  caller: fc.constantFrom('', 'a', 'b'),
  priority: fc.constantFrom(0, 0, 1),
  tokens: fc.integer({ min: 1, max: 12 }),
  timeoutMs: fc.constantFrom(null, null, 700, 2_500),
  delay: fc.constantFrom(0, 50, 400),
  fails: fc.constantFrom('never', 'never', 'never', 'finally', 'always', 'cools'),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: submit },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('cancel' as const), ids: fc.tuple(fc.nat(24).map((n) => `c${n}`)) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat(900) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const, 'resume' as const) }) },
);
const limits = fc.record({
  queueCapacity: fc.integer({ min: 2, max: 8 }),
  concurrencyLimit: fc.constantFrom(null, 1, 3),
  limitRequests: fc.constantFrom(null, 1, 2, 5),
  limitTokens: fc.constantFrom(null, 12, 30),
  // Without chance: two that go the same way must come to the same end.
  retry: fc.constantFrom(null, { maxRetries: 2, baseDelay: 0.15, jitter: false }),
  breaker: fc.constantFrom(null, { failureThreshold: 2, recoveryTime: 0.4 }),
});
type Limits = typeof limits extends fc.Arbitrary<infer T> ? T : never;
/** What is left to happen when no more step comes. */
const rest: Step = { do: 'advance', ms: 120_000 };

/** One step more than the given ones comes first, as where running calls are taken back. */
function goingOn(after: readonly Step[]): Step[] {
  return [{ do: 'cancel', ids: [] }, ...after, rest];
}

function newModel(own: Limits, clock: VirtualClock): iModel {
  return new iModel({ provider: 'scripted', ...own, interval: windowMs / 1_000, clock });
}

interface Stopped {
  /** What happened before. */
  readonly log: Entry[];
  readonly text: string;
  readonly at: number;
  /** Calls that ran. */
  readonly running: ReadonlySet<string>;
}

/** Plays the first steps and writes the iModel down. */
async function stopAfter(own: Limits, steps: readonly Step[]): Promise<Stopped> {
  const clock = new VirtualClock(1_000_000);
  const model = newModel(own, clock);
  const log: Entry[] = [];
  await play(model, clock, steps, 0, log);
  const text = JSON.stringify(model.toDict({ state: true }));
  const running = new Set(runningIds(model, steps.length));
  void model.close();
  await clock.advance(0);
  return { log, text, at: clock.now(), running };
}

function runningIds(model: iModel, count: number): string[] {
  const ids = Array.from({ length: count }, (_, index) => `c${index}`);
  return ids.filter((id) => model.call(id)?.status === 'processing');
}

/** As {@link stopAfter} and going on, but nobody stops: what ran is only taken back. */
async function neverStopped(own: Limits, before: readonly Step[], after: readonly Step[]): Promise<Entry[]> {
  const clock = new VirtualClock(1_000_000);
  const model = newModel(own, clock);
  const log: Entry[] = [];
  await play(model, clock, before, 0, log);
  log.length = 0;
  await play(model, clock, [{ do: 'cancel', ids: runningIds(model, before.length) }], 0, log);
  await play(model, clock, [...after, rest], before.length, log);
  await model.close();
  return log;
}

async function goneOn(stopped: Stopped, after: readonly Step[], firstIndex: number): Promise<Entry[]> {
  const clock = new VirtualClock(stopped.at);
  const model = iModel.fromDict(JSON.parse(stopped.text), { clock });
  for (const id of stopped.running) {
    expect(model.call(id)).toMatchObject({ status: 'failed', failure: { code: 'interrupted', retryable: true } });
  }
  const log = begunAtOnce(model, clock);
  await play(model, clock, goingOn(after), firstIndex - 1, log);
  await model.close();
  return log;
}

/** At the moment of restoring nobody sees in which order calls begin; the actor's own tests do. */
function atOnce(log: readonly Entry[], at: number): Entry[] {
  const first = log.filter(([when]) => when === at);
  const order = (entry: Entry) => JSON.stringify(entry.slice(1));
  return [...first.sort((one, other) => (order(one) < order(other) ? -1 : 1)), ...log.slice(first.length)];
}

const of = (log: readonly Entry[], what: string) => log.filter(([, kind]) => kind === what);
const without = (log: readonly Entry[], ids: ReadonlySet<string>) => log.filter(([, , id]) => !ids.has(String(id)));

function expectLimits(own: Limits, log: readonly Entry[], steps: readonly Step[]): void {
  const starts = of(log, 'start');
  expect(new Set(starts.map(([, , id]) => id)).size).toBe(starts.length);
  for (const [at] of starts) {
    const inWindow = starts.filter(([other]) => Number(other) >= Number(at) && Number(other) < Number(at) + windowMs);
    expect(inWindow.length).toBeLessThanOrEqual(own.limitRequests ?? Number.POSITIVE_INFINITY);
  }
  expect(steps.length).toBeGreaterThanOrEqual(starts.length);
  expectTokens(own, log, steps);
}

/** No call begins unless its tokens fit beside those of all that began within a window before: estimated until they are reported. */
function expectTokens({ limitTokens }: Limits, log: readonly Entry[], steps: readonly Step[]): void {
  const estimateOf = (id: unknown): number => {
    const step = steps[Number(String(id).slice(1))];
    return step?.do === 'submit' ? step.tokens : 0;
  };
  const held = new Map<unknown, { readonly at: number; tokens: number }>();
  for (const [at, what, id, , , reported] of log) {
    const call = held.get(id);
    if (what === 'end' && call !== undefined && typeof reported === 'number') call.tokens = reported;
    if (what !== 'start') continue;
    const recent = [...held.values()].filter((one) => one.at > Number(at) - windowMs);
    const used = recent.reduce((sum, { tokens }) => sum + tokens, estimateOf(id));
    expect(used).toBeLessThanOrEqual(limitTokens ?? Number.POSITIVE_INFINITY);
    held.set(id, { at: Number(at), tokens: estimateOf(id) });
  }
}

describe('an iModel that is stopped at any moment, written as JSON and restored', () => {
  it('starts the same calls at the same times and ends them alike, but for those that ran', async () => {
    await fc.assert(
      fc.asyncProperty(limits, fc.array(step, { maxLength: 24 }), fc.nat(24), async (own, steps, moment) => {
        const at = Math.min(moment, steps.length);
        const [before, after] = [steps.slice(0, at), steps.slice(at)];
        const stopped = await stopAfter(own, before);
        const log = await goneOn(stopped, after, at);
        const restored = atOnce(log, stopped.at);
        const whole = atOnce(await neverStopped(own, before, after), stopped.at);
        expect(of(restored, 'start')).toEqual(of(whole, 'start'));
        expect(without(restored, stopped.running)).toEqual(without(whole, stopped.running));
        expectLimits(own, [...stopped.log, ...log], steps);
      }),
      { numRuns: 150 },
    );
  });

  it('goes on likewise in a process of its own', async () => {
    const cases = await Promise.all(
      fc.sample(fc.tuple(limits, fc.array(step, { minLength: 6, maxLength: 24 }), fc.nat(24)), 40).map(async (one) => {
        const [own, steps, moment] = one;
        const at = Math.min(moment, steps.length);
        const stopped = await stopAfter(own, steps.slice(0, at));
        return { own, steps, stopped, after: steps.slice(at), at, here: await goneOn(stopped, steps.slice(at), at) };
      }),
    );
    const lines = cases.map(({ stopped, after, at }) =>
      JSON.stringify({ dict: JSON.parse(stopped.text), at: stopped.at, steps: goingOn(after), firstIndex: at - 1 }),
    );
    const script = fileURLToPath(new URL('restart/process.mjs', import.meta.url));
    const { code, stdout, stderr } = await startNode([script], { input: lines.join('\n') }).ended;
    expect([code, stderr]).toEqual([0, '']);
    const logs = stdout.split('\n').filter((line) => line !== '');
    expect(logs).toEqual(cases.map(({ here }) => JSON.stringify(here)));
    // What was used in the process before counts in this one.
    for (const [index, { own, steps, stopped }] of cases.entries())
      expectLimits(own, [...stopped.log, ...(JSON.parse(logs[index] ?? '[]') as Entry[])], steps);
  });
});
