import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { iModel } from '../../src/index.ts';
import { startUpstream, type Upstream, type UpstreamHandler } from '../../src/testing/upstream.ts';
import { readAll, rejection, textOf } from './timed-endpoint.ts';

const messages = [{ role: 'user', content: 'hello' }];
const delta = (content: string) => ({ choices: [{ index: 0, delta: { content } }] });
const stop = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };

const says = (text: string): UpstreamHandler => {
  return async (request, reply) => {
    if (request.json().stream !== true) {
      reply.json({ choices: [{ message: { content: text }, finish_reason: 'stop' }] });
      return;
    }
    await reply.events([delta(text), stop, '[DONE]']);
    reply.end();
  };
};
const refuses = (status: number, message = `The upstream says ${status}`): UpstreamHandler => {
  return (_request, reply) => reply.json({ error: { message } }, status);
};

let upstream: Upstream;
beforeEach(async () => {
  upstream = await startUpstream();
});
afterEach(() => upstream.close());

/** Options of a model that is the given path of the upstream. */
const at = (path: string, handler: UpstreamHandler) => {
  upstream.handle(handler, `/${path}/chat/completions`);
  return { provider: 'local', model: path, baseUrl: `${upstream.url}/${path}`, retry: null };
};

/** Which models were asked, in order. */
const asked = (): unknown[] => upstream.requests.map((request) => request.json().model);

describe('fallbacks', () => {
  it('are off unless named', async () => {
    await using model = new iModel(at('a', refuses(500)));
    expect(await model.invoke({ messages })).toMatchObject({ status: 'failed', failure: { code: 'unavailable' } });
    expect(model.fallbacks).toEqual([]);
  });

  it.each(['invoke', 'stream'])(
    'are asked one after the other, each once, until one answers, and the call says so: %s',
    async (mode) => {
      await using model = new iModel({
        ...at('a', refuses(500)),
        fallbacks: [at('b', refuses(503)), at('c', says('from c')), at('d', says('from d'))],
      });
      const stream = mode === 'stream' ? model.stream({ messages }) : null;
      const read = stream === null ? null : await readAll(stream);
      const call = stream?.call ?? (await model.invoke({ messages }));
      if (read !== null) expect([textOf(read.chunks), read.error]).toEqual(['from c', null]);
      expect(call).toMatchObject({ status: 'completed', text: 'from c', attempts: 1 });
      expect(call.metadata.fallbacks).toEqual([
        { id: model.fallbacks[0]?.id, model: 'b', status: 'failed', failure: 'overloaded' },
        { id: model.fallbacks[1]?.id, model: 'c', status: 'completed' },
      ]);
      expect(asked()).toEqual(['a', 'b', 'c']);
    },
  );

  it('leave the failure of the model itself when none does better', async () => {
    await using model = new iModel({
      ...at('a', refuses(500)),
      fallbacks: [at('b', refuses(429)), at('c', refuses(400))],
    });
    const call = await model.invoke({ messages });
    expect(call).toMatchObject({ status: 'failed', failure: { code: 'unavailable', status: 500 } });
    expect(call.metadata.fallbacks).toMatchObject([{ failure: 'rate_limited' }, { failure: 'rejected' }]);
  });

  it('are not asked for what would fail again, unless that is configured', async () => {
    const failing = at('a', refuses(400, 'prompt is too long: 210000 tokens > 200000 maximum'));
    await using strict = new iModel({ ...failing, fallbacks: [at('b', says('from b'))] });
    expect(await strict.invoke({ messages })).toMatchObject({ failure: { code: 'context_overflow' } });
    await using lenient = new iModel({
      ...failing,
      fallbacks: [at('b', says('from b'))],
      fallbackOn: ['context_overflow'],
    });
    expect(await lenient.invoke({ messages })).toMatchObject({ status: 'completed', text: 'from b' });
    expect(asked()).toEqual(['a', 'a', 'b']);
  });

  it('that do not take the request are passed over', async () => {
    const fussy = { ...at('b', says('from b')), provider: 'openai', apiKey: 'sk-of-nobody' };
    await using model = new iModel({ ...at('a', refuses(500)), fallbacks: [fussy, at('c', says('from c'))] });
    const call = await model.invoke({ messages, only_here: true });
    expect(call).toMatchObject({ status: 'completed', text: 'from c' });
    expect(call.metadata.fallbacks).toMatchObject([
      { model: 'b', status: 'skipped', failure: 'invalid_request' },
      { model: 'c', status: 'completed' },
    ]);
    expect(asked()).toEqual(['a', 'c']);
  });

  it('give way to the next when their stream begins with an error, of which the reader sees nothing', async () => {
    const error = { error: { message: 'it broke', type: 'server_error' } };
    const breaks: UpstreamHandler = async (_request, reply) => {
      await reply.events([error]);
      reply.end();
    };
    await using model = new iModel({ ...at('a', breaks), fallbacks: [at('b', breaks), at('c', says('from c'))] });
    const stream = model.stream({ messages });
    const { chunks, error: thrown } = await readAll(stream);
    expect(thrown).toBeNull();
    expect(chunks.map(({ type }) => type)).toEqual(['system', 'text', 'result']);
    expect(textOf(chunks)).toBe('from c');
    expect(asked()).toEqual(['a', 'b', 'c']);
  });

  it('are the last when something of them was read', async () => {
    const breaks: UpstreamHandler = async (_request, reply) => {
      await reply.events([delta('half of b')]);
      reply.cut();
    };
    await using model = new iModel({ ...at('a', refuses(500)), fallbacks: [at('b', breaks), at('c', says('from c'))] });
    const stream = model.stream({ messages });
    const { chunks, error } = await readAll(stream);
    expect(textOf(chunks)).toBe('half of b');
    expect(error).toMatchObject({ code: 'unavailable' });
    expect(stream.call).toMatchObject({ status: 'failed', text: 'half of b' });
    expect(asked()).toEqual(['a', 'b']);
  });

  it.each([
    ['the caller', {}, 'cancelled'],
    ['the deadline', { timeoutMs: 300 }, 'timed_out'],
  ])('end with their call when %s ends it', async (_who, options, code) => {
    await using model = new iModel({
      ...at('a', refuses(500)),
      fallbacks: [at('b', () => {}), at('c', says('from c'))],
    });
    const controller = new AbortController();
    const ended = rejection(model.invoke({ messages }, { ...options, signal: controller.signal }));
    const hanging = await upstream.request(1);
    if (code === 'cancelled') controller.abort();
    expect((await ended).code).toBe(code);
    await hanging.closed;
    expect(asked()).toEqual(['a', 'b']);
    expect(model.state.running).toBe(0);
  });

  it('keep their own limits, and the call its own slot', async () => {
    await using model = new iModel({
      ...at('a', refuses(500)),
      concurrencyLimit: 1,
      limitTokens: 1_000,
      fallbacks: [{ ...at('b', says('from b')), limitRequests: 1 }],
    });
    expect(await model.invoke({ messages })).toMatchObject({ text: 'from b' });
    expect(model.fallbacks[0]?.state.budget.requests).toMatchObject({ used: 1, remaining: 0 });
    expect(model.state.budget.tokens.used).toBeGreaterThan(0);
    const ended = Promise.all([rejection(model.invoke({ messages })), rejection(model.invoke({ messages }))]);
    await upstream.request(2);
    expect(model.state).toMatchObject({ running: 1, queue: { waiting: 1 } });
    await model.close();
    expect((await ended).map(({ code }) => code)).toEqual(['closed', 'closed']);
    expect(asked()).toEqual(['a', 'b', 'a']);
  });
});
