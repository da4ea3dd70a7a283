import { describe, expect, it } from 'vitest';
import { type ApiCalling, type Chunk, DROP, type HookRegistryOptions } from '../../src/index.ts';
import { logged } from './logged-model.ts';
import { readAll, textOf, timedModel } from './timed-endpoint.ts';

describe('chunk handlers', () => {
  const chunks = ['a', 'b'];
  const run = async (options: Record<string, unknown>, play: object = { chunks }) => {
    const { hooks, ...rest } = options;
    const { model, hookEvents } = logged(hooks as HookRegistryOptions, rest);
    const stream = model.stream({ ...play });
    const read = await readAll(stream);
    return { ...read, text: textOf(read.chunks), call: stream.call, hookEvents };
  };
  const upper = (_call: unknown, _key: unknown, chunk: Chunk) => ({ ...chunk, content: chunk.content?.toUpperCase() });

  it('86: only the handler runs where there is one, and its null leaves the chunk', async () => {
    const processed: string[] = [];
    const streamingProcessFunc = (chunk: Chunk) => void processed.push(chunk.type);
    const replaced = await run({ hooks: { streamHandlers: { text: upper } }, streamingProcessFunc });
    expect([replaced.text, processed]).toEqual(['AB', ['result']]);
    const kept = await run({ hooks: { streamHandlers: { text: () => null } } });
    expect(kept.text).toBe('ab');
    const returned = await run({ hooks: { streamHandlers: { text: () => new Error('data') } } });
    expect(returned.text).toBe('ab');
  });

  it('86: the handler is given the call and its key', async () => {
    const seen: unknown[] = [];
    const { call } = await run({
      hooks: {
        streamHandlers: {
          text: (own: ApiCalling, key: string, chunk: Chunk) => void seen.push([own.id, key, chunk.content]),
        },
      },
    });
    expect(seen).toEqual([
      [call.id, 'text', 'a'],
      [call.id, 'text', 'b'],
    ]);
  });

  it('87: a throwing handler leaves the chunk without exit, and that is reported; with exit the stream throws', async () => {
    const broken = { streamHandlers: { text: () => Promise.reject(new Error('bad chunk')) } };
    const lenient = await run({ hooks: broken });
    expect([lenient.text, lenient.error, lenient.call.status]).toEqual(['ab', null, 'completed']);
    expect(lenient.hookEvents()).toMatchObject([
      { hook: { name: 'chunk:text', status: 'aborted' }, failure: { message: 'bad chunk' } },
      { hook: { name: 'chunk:text' } },
    ]);
    const strict = await run({ hooks: broken, exitHook: true });
    expect(strict.error).toMatchObject({ code: 'vetoed', message: expect.stringContaining('bad chunk') });
    expect(strict.text).toBe('');
  });

  it('88: a class wins over its name and the type; without a handler the function is used', async () => {
    class Piece implements Chunk {
      readonly type = 'text';
      readonly content = 'x';
    }
    const order = [Piece, 'Piece', 'text'] as const;
    const answers: string[] = [];
    for (let first = 0; first < order.length; first += 1) {
      const handlers = new Map(order.slice(first).map((key) => [key, () => ({ type: 'text', content: String(key) })]));
      const timed = timedModel({ hookRegistry: { streamHandlers: new Map(handlers) } });
      timed.endpoint.run = async (job) => {
        job.sink?.write(new Piece());
        return { response: null, view: { text: 'x', thinking: '', toolUses: [], finishReason: 'stop', usage: null } };
      };
      answers.push(textOf((await readAll(timed.model.stream({}))).chunks));
    }
    expect(answers).toEqual([String(Piece), 'Piece', 'text']);
    const { chunks: made } = await run({ hooks: {}, streamingProcessFunc: (chunk: Chunk) => chunk.content ?? '' });
    expect(made).toEqual(['a', 'b', '']);
  });

  it('DROP takes a chunk out of the stream', async () => {
    const { text } = await run({
      hooks: {
        streamHandlers: { text: (_c: unknown, _k: unknown, { content }: Chunk) => (content === 'a' ? DROP : null) },
      },
    });
    expect(text).toBe('b');
  });
});
