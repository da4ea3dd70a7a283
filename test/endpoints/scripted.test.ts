import { describe, expect, it } from 'vitest';
import { ScriptedEndpoint } from '../../src/endpoints/scripted.ts';
import { IModelError } from '../../src/errors.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { brief, run } from './run.ts';

const messages = [
  { role: 'system', content: 'be brief' },
  { role: 'user', content: 'hello there' },
];

describe('ScriptedEndpoint', () => {
  it('echoes the last user message by default', async () => {
    const { reply } = await run(new ScriptedEndpoint(), { messages });
    expect(reply?.view).toMatchObject({ text: 'hello there', finishReason: 'stop' });
    expect(reply?.view.usage).toEqual({ inputTokens: 5, outputTokens: 3, totalTokens: 8 });
    expect(reply?.response).toMatchObject({ object: 'chat.completion', model: 'scripted' });
  });

  it('resolves a reply without delay within microtasks', async () => {
    const endpoint = new ScriptedEndpoint({ kwargs: { text: 'x' } });
    let done = false;
    void run(endpoint, { messages }).then(() => {
      done = true;
    });
    for (let i = 0; i < 20; i += 1) await Promise.resolve();
    expect(done).toBe(true);
  });

  it('streams in the number of chunks it is told', async () => {
    const endpoint = new ScriptedEndpoint({ kwargs: { text: 'abcdefg', chunks: 3, thinking: 'hm' } });
    const { chunks, reply } = await run(endpoint, { messages }, { stream: true });
    expect(chunks.map(brief)).toEqual([
      ['system'],
      ['thinking', 'hm'],
      ['text', 'ab'],
      ['text', 'cd'],
      ['text', 'efg'],
      ['result', 'stop'],
    ]);
    expect(reply?.view.text).toBe('abcdefg');
    const many = await run(endpoint, { messages, chunks: 50, thinking: undefined }, { stream: true });
    expect(many.chunks.filter(({ type }) => type === 'text')).toHaveLength(50);
  });

  it('streams words by default, and nothing is lost', async () => {
    const { chunks, reply } = await run(new ScriptedEndpoint(), { prompt: ' two  words \n' }, { stream: true });
    expect(chunks.filter(({ type }) => type === 'text').map(({ content }) => content)).toEqual([
      ' two',
      '  words',
      ' \n',
    ]);
    expect(reply?.view.text).toBe(' two  words \n');
  });

  it('asks for tools', async () => {
    const endpoint = new ScriptedEndpoint({ kwargs: { text: '', toolUses: [{ name: 'get', input: { x: 1 } }] } });
    const { chunks, reply } = await run(endpoint, { messages }, { stream: true });
    expect(chunks.map(brief)).toEqual([
      ['system'],
      ['tool delta', 'scripted-1-tool-1', '{"x":1}'],
      ['tool', 'scripted-1-tool-1', 'get', { x: 1 }],
      ['result', 'tool_calls'],
    ]);
    expect(reply?.view.toolUses).toEqual([{ id: 'scripted-1-tool-1', name: 'get', input: { x: 1 } }]);
  });

  it('delays by its clock', async () => {
    const clock = new VirtualClock();
    const endpoint = new ScriptedEndpoint({ clock, kwargs: { text: 'a b c', delayMs: 100, chunkDelayMs: 10 } });
    const times: number[] = [];
    const done = run(
      endpoint,
      { messages },
      { stream: true, onChunk: ({ type }) => type === 'text' && times.push(clock.now()) },
    );
    await clock.advance(1_000);
    await done;
    expect(times).toEqual([100, 110, 120]);
    expect(clock.timers).toBe(0);
  });

  it('fails its first calls as told, and then answers', async () => {
    const endpoint = new ScriptedEndpoint({
      kwargs: { failures: ['rate_limited', null, { code: 'overloaded', retryAfterMs: 50 }, 'timed_out'] },
    });
    const codes: (string | undefined)[] = [];
    for (let i = 0; i < 5; i += 1) codes.push((await run(endpoint, { messages })).error?.code);
    expect(codes).toEqual(['rate_limited', undefined, 'overloaded', 'timed_out', undefined]);
  });

  it('fails in the middle of a stream', async () => {
    const endpoint = new ScriptedEndpoint({
      kwargs: { text: 'a b c', failures: () => ({ code: 'unavailable', afterChunks: 2 }) },
    });
    const { chunks, error } = await run(endpoint, { messages }, { stream: true });
    expect(chunks.map(({ type }) => type)).toEqual(['system', 'text', 'text', 'error']);
    expect(error?.failure).toMatchObject({ code: 'unavailable', status: 502 });
  });

  it('ends at once when aborted, and leaves no timer', async () => {
    const clock = new VirtualClock();
    const endpoint = new ScriptedEndpoint({ clock, kwargs: { delayMs: 1_000 } });
    const abort = new AbortController();
    const reason = IModelError.of('cancelled', 'no longer wanted', {});
    const done = run(endpoint, { messages }, { signal: abort.signal });
    abort.abort(reason);
    expect((await done).error).toBe(reason);
    expect(clock.timers).toBe(0);
  });

  it('waits for a full sink, and ends when aborted meanwhile', async () => {
    const endpoint = new ScriptedEndpoint({ kwargs: { text: 'a b c' } });
    const abort = new AbortController();
    const seen: string[] = [];
    let resume: (() => void) | undefined;
    const done = endpoint.run({
      callId: 'c',
      payload: endpoint.prepare({ messages }),
      transport: {},
      signal: abort.signal,
      sink: {
        write(chunk) {
          seen.push(chunk.type);
          return false;
        },
        onDrain(callback) {
          resume = callback;
        },
      },
      sent() {},
      answered() {},
    });
    await expect.poll(() => resume).toBeDefined();
    expect(seen).toEqual(['system', 'text']);
    resume?.();
    await expect.poll(() => seen.length).toBe(3);
    abort.abort(IModelError.of('cancelled', 'x', {}));
    await expect(done).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('names what is wrong with a script', async () => {
    expect(() => new ScriptedEndpoint().prepare({ delyMs: 5 })).toThrow(/did you mean `delayMs`/);
    expect(() => new ScriptedEndpoint().prepare({ delayMs: -5 })).toThrow(/delayMs/);
    const { error } = await run(new ScriptedEndpoint({ kwargs: { failures: ['vetoed'] } }), { messages });
    expect(error?.failure).toMatchObject({ code: 'invalid_request', path: 'failures' });
  });

  it('reports the usage and the estimate it is told', async () => {
    const endpoint = new ScriptedEndpoint({
      kwargs: { usage: { inputTokens: 10, outputTokens: 6 }, estimatedTokens: 8 },
    });
    expect((await run(endpoint, { messages })).reply?.view.usage).toEqual({
      inputTokens: 10,
      outputTokens: 6,
      totalTokens: 16,
    });
    expect(endpoint.estimateTokens(endpoint.prepare({ messages }))).toBe(8);
    expect((await run(endpoint, { messages, usage: null })).reply?.view.usage).toBe(null);
  });
});
