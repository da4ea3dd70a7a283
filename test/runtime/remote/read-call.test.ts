import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wireCall } from '../../../schemas/call.ts';
import { finishReasons } from '../../../schemas/chunk.ts';
import { iModel } from '../../../src/index.ts';
import { isCompleted } from '../../../src/runtime/remote/read-call.ts';

async function endedCall(): Promise<Record<string, unknown>> {
  await using model = new iModel({ model: 'scripted/demo', text: 'hello' });
  const call = await model.invoke({ messages: [{ role: 'user', content: 'hello' }] });
  return JSON.parse(JSON.stringify(call.toWire()));
}

const odd = fc.oneof(
  fc.constantFrom(undefined, null, '', 'stop', 'completed', 'failed', -1, 0, 1.5, Number.NaN, Infinity, true, false),
  fc.constantFrom([], {}, [{}], { input_tokens: 1 }, new Date(0), () => 1, 1n, ...finishReasons),
);

describe('the call of a reply', () => {
  it('is known by a glance when it has completed', async () => {
    expect(isCompleted(await endedCall())).toBe(true);
  });

  it('is never taken for one that the schema refuses, whatever is wrong with it', async () => {
    const whole = await endedCall();
    const paths = [
      ...Object.keys(whole).map((name) => [name]),
      ...Object.keys(whole.execution as object).map((name) => ['execution', name]),
      ...Object.keys(whole.usage as object).map((name) => ['usage', name]),
      ...[['usage', 'reasoning_tokens'], ['new_field']],
    ];
    let glances = 0;
    fc.assert(
      fc.property(fc.constantFrom(...paths), odd, fc.boolean(), (path, value, isLeftOut) => {
        const call = structuredClone(whole);
        const last = path.at(-1) as string;
        const place = (path.length === 1 ? call : call[path[0] as string]) as Record<string, unknown>;
        if (isLeftOut) delete place[last];
        else place[last] = value;
        if (!isCompleted(call)) return;
        glances += 1;
        expect(wireCall.parse(call).execution.status).toBe('completed');
      }),
      { numRuns: 2_000 },
    );
    expect(glances).toBeGreaterThan(100);
  });

  it('is left to the schema when it failed or called a tool', async () => {
    const whole = await endedCall();
    const tools = [{ id: 'a', name: 'find', input: {} }];
    const failure = { code: 'internal', message: 'x', retryable: false, source: 'runtime' };
    expect(isCompleted({ ...whole, tool_uses: tools })).toBe(false);
    expect(isCompleted({ ...whole, failure })).toBe(false);
    expect(isCompleted([whole])).toBe(false);
  });
});
