import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { liveCall } from '../../../schemas/live-state.ts';
import { IModelError, iModel } from '../../../src/index.ts';
import { readCalls } from '../../../src/runtime/state/read-calls.ts';

const messages = [{ role: 'user', content: 'hello' }];

const plain = { id: 'a', queued_at: 5, payload: { messages } };
const whole = {
  ...plain,
  ...{ stage: 'outside', caller: 'anna', priority: -3, weight: 2, tokens: 7, deadline_at: 9, queue_deadline_at: 8 },
  ...{ streaming: true, created_at: 4, transport: { file: { base64: 'AA==' } }, metadata: { a: 1 }, request: {} },
  ...{ named: true, trace: { traceparent: '00' }, reply_to: '_INBOX.1', reply_type: 'text/plain' },
  run: { started_at: 6, attempts: 1, breaker_epoch: 0 },
};

const odd = fc.oneof(
  fc.constantFrom(
    undefined,
    null,
    '',
    'x',
    'queued',
    'sending',
    -1,
    0,
    -0,
    10,
    11,
    1.5,
    Number.NaN,
    Infinity,
    true,
    false,
  ),
  fc.constantFrom([], {}, [[]], { base64: 1 }, new Date(0), Object.create(null), () => 1, 1n, Symbol('s')),
);

describe('the calls of a dict', () => {
  it('are what the schema says, whichever field is what', () => {
    const field = fc.constantFrom(...Object.keys(whole), 'other', 'constructor');
    const changes = fc.dictionary(field, odd, { maxKeys: 2 });
    const bases = fc.constantFrom(plain, whole, { ...plain, named: true }, { id: 'a', payload: {} });
    fc.assert(
      fc.property(bases, changes, (base, change) => {
        const row = { ...base, ...change };
        const { data, success } = liveCall.safeParse(row);
        let read: unknown;
        try {
          read = readCalls([row]);
        } catch (error) {
          // What the schema does not look into must be plain all the same.
          expect(IModelError.is(error) && error.failure.code === 'config' && error.failure.field).toMatch(
            /^state\.calls\.0\.(payload|request|metadata|transport)$/,
          );
          return;
        }
        if (success) expect(read).toEqual([data]);
        else expect(read).toBeNull();
      }),
      { numRuns: 3_000 },
    );
  });

  it('are none when two of them have one id', () => {
    expect(readCalls([plain, { ...plain, id: 'b' }, plain])).toBeNull();
  });

  it('share nothing with the document', async () => {
    const { dict, close } = pausedDict();
    const payload = { messages: [{ role: 'user', content: 'hello' }], extra: { deep: ['as it was'] } };
    const call = { id: 'a', queued_at: 0, payload };
    const data = { ...dict, state: { ...dict.state, calls: [call] } };
    const restored = iModel.fromDict(data);
    payload.messages[0] = { role: 'user', content: 'changed' };
    payload.extra.deep.push('changed');
    expect(restored.call('a')?.payload).toEqual({ messages, extra: { deep: ['as it was'] } });
    await Promise.all([close(), restored.close({ drain: false })]);
  });

  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  it.each<[string, unknown]>([
    ['what holds itself', cycle],
    ['a big integer', { n: 1n }],
    ['a function', { f: () => 1 }],
    ['a symbol', { s: Symbol('s') }],
    ['a date', { at: new Date(0) }],
    ['bytes', { bytes: new Uint8Array(2) }],
    ['a map', { map: new Map() }],
    ['no number', { n: Number.NaN }],
    ['a number without end', { n: Number.POSITIVE_INFINITY }],
    ['a writer of its own', { toJSON: () => 1 }],
    ['nesting without end', JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`)],
  ])('are refused with the path where a request holds %s', (_name, value) => {
    const { dict, close } = pausedDict();
    const calls = ['a', 'b'].map((id) => ({ id, queued_at: 0, payload: { messages, odd: id === 'b' ? value : 1 } }));
    let refusal: unknown;
    try {
      iModel.fromDict({ ...dict, state: { ...dict.state, calls } });
    } catch (error) {
      refusal = error;
    }
    expect(IModelError.is(refusal) && refusal.failure).toMatchObject({
      code: 'config',
      field: 'state.calls.1.payload',
    });
    return close();
  });

  it('keep a field named like the prototype as the data that it is', async () => {
    const { dict, close } = pausedDict();
    const tools = '[{"parameters":{"properties":{"__proto__":{"type":"string"},"constructor":{"type":"number"}}}}]';
    const calls = [{ id: 'a', queued_at: 0, payload: { messages, tools: JSON.parse(tools) as unknown } }];
    const restored = iModel.fromDict({ ...dict, state: { ...dict.state, calls } });
    const [again] = restored.toDict({ state: true }).state?.calls ?? [];
    expect(JSON.stringify(again?.payload.tools)).toBe(tools);
    expect(({} as { type?: string }).type).toBeUndefined();
    await Promise.all([close(), restored.close({ drain: false })]);
  });
});

function pausedDict() {
  const model = new iModel({ provider: 'scripted' });
  model.pause();
  return { dict: model.toDict({ state: true }), close: () => model.close({ drain: false }) };
}
