import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hookAnswer, hookAsk } from '../../schemas/hook.ts';
import type { AskedHookOptions } from '../../schemas/imodel.ts';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { subjects } from '../../src/bus/subjects.ts';
import { IModelError } from '../../src/errors.ts';
import { onHook } from '../../src/hooks/on-hook.ts';
import { iModel } from '../../src/imodel.ts';
import { parseConfig } from '../../src/runtime/load-config.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';

const hooks: AskedHookOptions[] = [
  { point: 'pre_invocation', name: 'guard', timeoutMs: 2_000, onFailure: 'open' },
  { point: 'chunk', mode: 'hold-window', holdChunks: 8, holdMs: 100 },
];
const yaml = `
models:
  echo:
    model: scripted/echo
    hooks:
      - { point: pre_invocation, name: guard, timeout_ms: 2000, on_failure: open }
      - { point: chunk, mode: hold-window, hold_chunks: 8, hold_ms: 100 }
`;

const refusal = async (make: () => unknown): Promise<string> => {
  try {
    await make();
  } catch (error) {
    expect(IModelError.is(error) && error.code).toBe('config');
    return (error as IModelError).message;
  }
  throw new Error('Expected a refusal');
};

describe('the option `hooks`', () => {
  it('is read from a file, in snake_case, and works there', async () => {
    const config = await parseConfig(yaml, 'models.yaml');
    expect(config.models.echo).toEqual({ model: 'scripted/echo', hooks });
    await using runtime = await createRuntime(config);
    onHook(runtime.bus, 'pre_invocation', () => ({ action: 'veto', reason: 'as configured' }), { name: 'guard' });
    const call = await runtime.models.get('echo')?.invoke({ messages: [] });
    expect(call?.failure?.message).toBe('The hook pre_invocation.guard refused the call: as configured');
  });

  it('is written into dicts, and read from them', () => {
    const model = new iModel({ model: 'scripted/echo', hooks });
    const dict = JSON.parse(JSON.stringify(model.toDict()));
    expect(dict.options.hooks).toEqual([
      { point: 'pre_invocation', name: 'guard', timeout_ms: 2_000, on_failure: 'open' },
      { point: 'chunk', mode: 'hold-window', hold_chunks: 8, hold_ms: 100 },
    ]);
    const restored = iModel.fromDict(dict);
    expect(restored.toDict()).toEqual(dict);
    expect(restored.live.hooks.onBus?.at('chunk')).toHaveLength(1);
  });

  it('comes along with a copy, which asks under an id of its own', async () => {
    const bus = createMemoryBus();
    const copy = new iModel({ id: 'a', model: 'scripted/echo', hooks: [{ point: 'pre_invocation' }] }).copy();
    copy.serve(bus);
    onHook(bus, 'pre_invocation', () => ({ action: 'answer', text: 'asked' }), { model: copy.id });
    expect((await copy.invoke({})).text).toBe('asked');
  });

  it('costs a model without it nothing: no request is kept, nobody is asked', async () => {
    const model = new iModel({ model: 'scripted/echo', hooks: [] });
    expect(model.live.hooks.onBus).toBeNull();
    const call = await model.invoke({ messages: [] });
    expect([call.request, call.hooks, call.outlet]).toEqual([null, null, null]);
  });

  it.each([
    [5, 'option `hooks`: a list of hooks, got `5` (number)'],
    [[{ point: 'before' }], 'option `hooks.0.point`'],
    [[{ point: 'chunk', mode: 'peek' }], 'option `hooks.0.mode`'],
    [[{ point: 'pre_invocation', mode: 'observe' }], 'option `hooks.0.mode`: no such field'],
    [[{ point: 'pre_invocation', timeoutMs: 0 }], 'option `hooks.0.timeoutMs`: above 0, got `0` (number)'],
    [[{ point: 'pre_invocation', name: 'a.b' }], 'option `hooks.0.name`: 1 to 64'],
    [[{ point: 'pre_invocation', onFailure: 'maybe' }], 'option `hooks.0.onFailure`'],
  ])('%j is refused', async (given, message) => {
    expect(await refusal(() => new iModel({ model: 'scripted/echo', hooks: given as never }))).toContain(message);
  });

  it.each([
    ['[{ point: chunk, hold_chunk: 5 }]', 'models.a.hooks.0.hold_chunk: unknown name; did you mean `hold_chunks`?'],
    ['[{ point: chunk, hold_ms: -1 }]', 'models.a.hooks.0.hold_ms: expected above 0, got `-1` (number)'],
    ['[pre_invocation]', 'models.a.hooks.0: expected names with values, got `pre_invocation` (string)'],
    ['5', 'models.a.hooks: expected a list of hooks, got `5` (number)'],
  ])('%s in a file is refused with its place', async (text, message) => {
    const file = `models: {a: {model: scripted/a, hooks: ${text}}}`;
    expect(await refusal(() => parseConfig(file, 'models.yaml'))).toContain(message);
  });
});

describe('onHook', () => {
  it('refuses an unknown point, and names that are no part of a subject', async () => {
    const bus = createMemoryBus();
    expect(await refusal(() => onHook(bus, 'before' as never, () => null))).toContain('`point`');
    expect(await refusal(() => onHook(bus, 'chunk', () => null, { name: 'a.b' }))).toContain('`name`');
    expect(await refusal(() => onHook(bus, 'chunk', () => null, { model: '*' }))).toContain('`id`');
  });

  it('answers what is no question with what is wrong with it, and a wrong answer with what was expected', async () => {
    const bus = createMemoryBus();
    const errors: unknown[] = [];
    onHook(bus, 'post_invocation', () => ({ action: 'replace', request: {} }) as never, {
      onError: (error) => errors.push(error),
    });
    const subject = subjects.hooks('any', 'post_invocation');
    const reply = await bus.request(subject, { point: 'post_invocation' });
    expect(reply.value()).toMatchObject({ failure: { code: 'invalid_request' } });
    const model = new iModel({ id: 'any', model: 'scripted/echo', hooks: [{ point: 'post_invocation' }] });
    model.serve(bus);
    const call = await model.invoke({ messages: [] });
    expect(call.failure?.message).toContain('pass, veto');
    expect(errors).toMatchObject([{ code: 'invalid_request' }, { code: 'invalid_request' }]);
  });

  it('hears nothing more once closed', async () => {
    const bus = createMemoryBus();
    const model = new iModel({ model: 'scripted/echo', hooks: [{ point: 'pre_invocation', onFailure: 'open' }] });
    model.serve(bus);
    const guard = onHook(bus, 'pre_invocation', () => ({ action: 'veto' }));
    expect((await model.invoke({})).failure?.code).toBe('vetoed');
    guard.close();
    expect((await model.invoke({})).failure).toBeNull();
  });
});

it('the questions and answers in the documentation are such', () => {
  const page = readFileSync(new URL('../../docs/hooks.md', import.meta.url), 'utf8');
  // Those that are written out; an ellipsis may stand in a text.
  const complete = (text: string | undefined): text is string => text !== undefined && !/(?:[,:{[])…/.test(text);
  const asks = [...page.matchAll(/^→ (\{[\s\S]*?\})\n←/gm)].map(([, text]) => text).filter(complete);
  const answers = [...page.matchAll(/(?:← |`)(\{"action".*?\})(?:`|$)/gm)].map(([, text]) => text).filter(complete);
  for (const text of asks) hookAsk.parse(JSON.parse(text));
  for (const text of answers) hookAnswer.parse(JSON.parse(text));
  expect([asks.length, answers.length]).toEqual([2, 5]);
});
