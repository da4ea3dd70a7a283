import { describe, expect, it } from 'vitest';
import { IModelError, iModel } from '../../src/index.ts';
import { startUpstream } from '../../src/testing/upstream.ts';

const messages = [{ role: 'user', content: 'hello' }];

const cycle: Record<string, unknown> = {};
cycle.self = cycle;
const throwing = Object.defineProperty({}, 'x', { enumerable: true, get: () => raise() });
const endless = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`) as unknown;

const odd: [name: string, value: unknown, path: string][] = [
  ['what holds itself', cycle, 'extra.self'],
  ['a big integer', { n: 1n }, 'extra.n'],
  ['a field that throws', throwing, 'extra.x'],
  ['nesting without end', endless, `extra${'.0'.repeat(7)}…`],
];

function raise(): never {
  throw new Error('not for you');
}

async function modelOn(url: string, options: Record<string, unknown> = {}) {
  return new iModel({ provider: 'mine', model: 'm', apiKey: 'sk-abcdef', baseUrl: url, retry: null, ...options });
}

async function refusalOf(promise: Promise<unknown>): Promise<IModelError> {
  const error: unknown = await promise.then(() => null).catch((thrown: unknown) => thrown);
  if (!IModelError.is(error)) throw error;
  return error;
}

describe('a request that JSON cannot hold', () => {
  it.each(odd)('is refused with the path of %s, however it comes, and nothing is sent', async (_name, value, path) => {
    await using upstream = await startUpstream((_request, reply) => reply.json({ choices: [] }));
    for (const options of [{}, { fallbacks: ['scripted/spare'] }, { limitTokens: 1_000 }, { cache: {} }]) {
      await using model = await modelOn(upstream.url, options);
      const refused = { code: 'invalid_request', failure: { path, retryable: false } };
      expect(await refusalOf(model.invoke({ messages, extra: value }))).toMatchObject(refused);
      expect(await refusalOf(model.invoke({ messages: [{ role: 'user', content: 'x', extra: value }] }))).toMatchObject(
        { code: 'invalid_request', failure: { path: expect.stringMatching(/^messages\.0\.extra/) } },
      );
      const stream = async () => {
        for await (const _chunk of model.stream({ messages, extra: value }));
      };
      expect(await refusalOf(stream())).toMatchObject(refused);
      expect(model.state.running).toBe(0);
    }
    expect(upstream.requests).toEqual([]);
  });

  it.each([cycle, endless])('is refused as a default of all requests too', (value) => {
    expect(() => new iModel({ provider: 'mine', baseUrl: 'http://127.0.0.1:9', extra: value })).toThrow(
      expect.objectContaining({
        code: 'config',
        failure: expect.objectContaining({ field: expect.stringMatching(/^extra/) }),
      }),
    );
  });

  it('loses its functions on the way, as in JSON, whoever is asked in the end', async () => {
    await using upstream = await startUpstream((_request, reply) => reply.text('busy', 503));
    await using model = await modelOn(upstream.url, { fallbacks: [{ provider: 'scripted', text: 'spare' }] });
    const tools = [{ type: 'function', function: { name: 'f' }, run: () => 1 }];
    const call = await model.invoke({ messages, tools });
    expect(call.text).toBe('spare');
    expect(JSON.parse(String(upstream.requests[0]?.body))).toMatchObject({ tools: [{ function: { name: 'f' } }] });
    expect(String(upstream.requests[0]?.body)).not.toContain('run');
  });
});
