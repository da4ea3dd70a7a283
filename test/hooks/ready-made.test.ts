import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { AskedHookOptions } from '../../schemas/imodel.ts';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { subjects } from '../../src/bus/subjects.ts';
import { createBudget } from '../../src/hooks/budget.ts';
import { createCallCache } from '../../src/hooks/cache.ts';
import { createEventLog } from '../../src/hooks/log.ts';
import { iModel } from '../../src/imodel.ts';
import { readAll, textOf } from '../acceptance/timed-endpoint.ts';
import { folder, startNode } from '../cli/program.ts';
import { WatchedEndpoint } from '../integration/watched-endpoint.ts';

const say = (content: string) => ({ messages: [{ role: 'user', content }] });
const atBoth = (name: string): AskedHookOptions[] => [
  { point: 'pre_invocation', name },
  { point: 'post_invocation', name, onFailure: 'open' },
];

function served(hooks: AskedHookOptions[], kwargs: Record<string, unknown> = {}) {
  const bus = createMemoryBus();
  const endpoint = new WatchedEndpoint({ kwargs });
  const model = new iModel({ id: 'one', endpoint, retry: null, hooks });
  model.serve(bus);
  return { bus, endpoint, model };
}

describe('the cache', () => {
  it('answers a request that was answered before, invoked or streamed, and uses nothing for it', async () => {
    const { bus, endpoint, model } = served(atBoth('cache'), { usage: { inputTokens: 5, outputTokens: 5 } });
    const cache = createCallCache(bus);
    const first = await model.invoke({ ...say('hello'), seed: 1 });
    const second = await model.invoke({ seed: 1, ...say('hello') });
    expect([second.text, second.response]).toEqual([first.text, first.response]);
    expect([first.usage?.totalTokens, second.usage]).toEqual([10, null]);
    const { chunks } = await readAll(model.stream({ ...say('hello'), seed: 1 }));
    expect(textOf(chunks)).toBe('hello');
    expect(endpoint.started).toHaveLength(1);
    expect([cache.size, cache.hits]).toEqual([1, 2]);
    expect((await model.invoke(say('another'))).text).toBe('another');
    cache.clear();
    await model.invoke({ ...say('hello'), seed: 1 });
    expect(endpoint.started).toHaveLength(3);
  });

  it('keeps no failures, and nothing longer than its time, which a hit does not lengthen', async () => {
    let now = 0;
    const { bus, endpoint, model } = served(atBoth('cache'));
    const cache = createCallCache(bus, { ttlMs: 100, now: () => now });
    await model.invoke({ text: 'x', failures: ['rejected'] });
    expect(cache.size).toBe(0);
    await model.invoke(say('hello'));
    now = 80;
    await model.invoke(say('hello'));
    expect(endpoint.started).toHaveLength(2);
    now = 101;
    await model.invoke(say('hello'));
    expect(endpoint.started).toHaveLength(3);
  });

  it('keeps the answers of callers apart when told to, and those of models always', async () => {
    const { bus, endpoint, model } = served(atBoth('cache'));
    const other = new iModel({ id: 'two', endpoint, hooks: atBoth('cache') });
    other.serve(bus);
    createCallCache(bus, { shared: false });
    for (const caller of ['anna', 'bob', 'anna']) await model.invoke(say('hello'), { caller });
    await other.invoke(say('hello'), { caller: 'anna' });
    expect(endpoint.started).toHaveLength(3);
  });

  it('that is gone costs nothing but its answers, where that is what the options say', async () => {
    const { bus, model } = served(atBoth('cache').map((hook) => ({ ...hook, onFailure: 'open' as const })));
    createCallCache(bus).close();
    expect((await model.invoke(say('hello'))).status).toBe('completed');
  });
});

describe('the budget', () => {
  const prices = { 'scripted-1': { inputUsdPerMillion: 1_000_000, outputUsdPerMillion: 0 } };
  const kwargs = { model: 'scripted-1', usage: { inputTokens: 3, outputTokens: 1 } };
  const spend = (model: iModel, caller?: string) =>
    model
      .invoke(say('hello'), caller === undefined ? {} : { caller })
      .then(({ failure, status }) => failure?.message ?? status);

  it('lets each caller spend up to its ceiling, and anew in the next period', async () => {
    let now = 0;
    const { bus, endpoint, model } = served(atBoth('budget'), kwargs);
    const budget = createBudget(bus, {
      ceilingUsd: 5,
      ceilingsUsd: { bob: 3 },
      prices,
      periodMs: 1_000,
      now: () => now,
    });
    expect([await spend(model, 'anna'), await spend(model, 'anna')]).toEqual(['completed', 'completed']);
    expect(await spend(model, 'anna')).toBe(
      'The hook pre_invocation.budget refused the call: anna has used 6.0000 of 5 USD',
    );
    expect([await spend(model, 'bob'), await spend(model, 'bob')]).toEqual([
      'completed',
      expect.stringContaining('3 USD'),
    ]);
    expect(await spend(model)).toBe('completed');
    expect(['anna', 'bob', '', 'eve'].map((caller) => budget.spentUsd(caller))).toEqual([6, 3, 3, 0]);
    expect(endpoint.started).toHaveLength(4);
    now = 1_000;
    expect(budget.spentUsd('anna')).toBe(0);
    expect(await spend(model, 'anna')).toBe('completed');
  });

  it('holds an amount for each running call, so that many at once do not go beyond it together', async () => {
    const { bus, endpoint, model } = served(atBoth('budget'), { ...kwargs, delay_ms: 20 });
    const budget = createBudget(bus, { ceilingUsd: 9, reserveUsd: 3, prices });
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => spend(model, 'anna')));
    expect(outcomes.filter((outcome) => outcome === 'completed')).toHaveLength(3);
    expect(endpoint.started).toHaveLength(3);
    expect(budget.spentUsd('anna')).toBe(9);
  });

  it('refuses models without a price, unless told otherwise', async () => {
    const strict = served(atBoth('budget'), { usage: { inputTokens: 1, outputTokens: 1 } });
    createBudget(strict.bus, { ceilingUsd: 5, prices });
    expect(await spend(strict.model)).toContain('there is no price for the model');
    const lenient = served(atBoth('budget'), { usage: { inputTokens: 1, outputTokens: 1 } });
    const budget = createBudget(lenient.bus, { ceilingUsd: 5, prices, unpriced: 'pass' });
    expect([await spend(lenient.model), budget.spentUsd('')]).toEqual(['completed', 0]);
  });

  it('gone, lets nothing be spent, since its iModel must ask it', async () => {
    const { bus, model, endpoint } = served(atBoth('budget'), kwargs);
    createBudget(bus, { ceilingUsd: 5, prices }).close();
    expect(await spend(model)).toContain('must be asked and could not be');
    expect(endpoint.started).toEqual([]);
  });

  it.each([
    [{ ceilingUsd: -1 }, '`ceilingUsd`'],
    [{ ceilingUsd: Number.NaN }, '`ceilingUsd`'],
    [{ ceilingUsd: 1, periodMs: 0 }, '`periodMs`'],
    [{ ceilingUsd: 1, ceilingsUsd: { anna: '5' as never } }, '`ceilingsUsd.anna`'],
  ])('%j is refused', (options, message) => {
    expect(() => createBudget(createMemoryBus(), { prices, ...options })).toThrow(message);
  });
});

describe('the log', () => {
  const lines: Record<string, unknown>[] = [];
  const logger = pino(
    { level: 'debug' },
    new Writable({
      write: (line, _encoding, done) => {
        lines.push(JSON.parse(String(line)));
        done();
      },
    }),
  );

  it('writes ends as info, troubles as warn, steps as debug, without prompts, answers, bodies and keys', async () => {
    const { bus, model } = served([]);
    const log = await createEventLog(bus, { logger });
    await model.invoke(say('a secret prompt'));
    bus.publish(subjects.events('one', 'post_invocation'), {
      type: 'post_invocation',
      model_id: 'one',
      at: 1,
      failure: {
        code: 'unauthorized',
        message: 'Incorrect API key provided: sk-proj-abcdef1234567890. Bearer abc.def was sent',
        retryable: false,
        source: 'provider',
        body: 'a secret prompt',
      },
    });
    bus.publish(subjects.events('one', 'created'), { nonsense: true });
    await bus.flush();
    log.close();
    await model.invoke(say('unheard'));
    await bus.flush();
    expect(lines.map(({ msg, level }) => [msg, level])).toEqual([
      ['created', 20],
      ['pre_invocation', 20],
      ['answered', 20],
      ['post_invocation', 30],
      ['post_invocation', 40],
    ]);
    expect(lines[3]).toMatchObject({ model_id: 'one', status: 'completed' });
    const text = JSON.stringify(lines);
    for (const secret of ['a secret prompt', 'abcdef1234567890', 'abc.def']) expect(text).not.toContain(secret);
  });

  it('writes JSON lines to stdout by itself', async () => {
    const library = new URL('../../dist/src/index.js', import.meta.url).href;
    const file = join(folder, 'log.mjs');
    writeFileSync(
      file,
      `import { createEventLog, createMemoryBus, iModel } from '${library}';
      const bus = createMemoryBus();
      const model = new iModel({ id: 'one', model: 'scripted/echo' });
      model.serve(bus);
      await createEventLog(bus);
      await model.invoke({ messages: [] });
      await bus.flush();
      await model.close();`,
    );
    const { code, stdout } = await startNode([file]).ended;
    const written = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(code).toBe(0);
    expect(written[0]).toMatchObject({ level: 30, msg: 'post_invocation', model_id: 'one', status: 'completed' });
  });
});
