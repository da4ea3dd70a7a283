import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../src/endpoints/endpoint.ts';
import type { PullProgress } from '../../src/endpoints/ollama-pull.ts';
import { IModelError } from '../../src/errors.ts';
import { matchEndpoint } from '../../src/providers/match.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';
import { run } from './run.ts';

let upstream: Upstream;
const made: Endpoint[] = [];
let models: string[] = [];

beforeEach(async () => {
  models = ['llama3:latest'];
  upstream = await startUpstream((_request, reply) =>
    reply.json({ choices: [{ message: { content: 'x' }, finish_reason: 'stop' }] }),
  );
  upstream.handle((_request, reply) => reply.json({ models: models.map((model) => ({ model })) }), '/api/tags');
  upstream.handle(async (request, reply) => {
    reply.open('application/x-ndjson');
    await reply.write('{"status":"pulling manifest"}\n{"status":"pulling abc","total":10,"completed":5}\n');
    models.push(String(request.json().model));
    await reply.write('{"status":"success"}\n');
    reply.end();
  }, '/api/pull');
});

afterEach(async () => {
  await Promise.all(made.splice(0).map((endpoint) => endpoint.close()));
  await upstream.close();
});

function ollama(kwargs: Record<string, unknown> = {}): Endpoint {
  const endpoint = matchEndpoint('ollama', 'chat', { baseUrl: upstream.url, env: {}, kwargs });
  made.push(endpoint);
  return endpoint;
}

const paths = (): string[] => upstream.requests.map(({ path }) => path);
const messages = [{ role: 'user', content: 'hi' }];

describe('pull', () => {
  it('is not done, nor looked for, unless asked', async () => {
    await run(ollama(), { model: 'mistral', messages });
    expect(paths()).toEqual(['/v1/chat/completions']);
  });

  it('fetches nothing that is there, with or without the tag', async () => {
    await run(ollama(), { model: 'llama3', messages, pull: true });
    expect(paths()).toEqual(['/api/tags', '/v1/chat/completions']);
    expect(upstream.requests[1]?.json()).toEqual({ model: 'llama3', messages });
  });

  it('fetches what is missing first, telling of its progress', async () => {
    const heard: PullProgress[] = [];
    const { reply } = await run(ollama(), {
      model: 'mistral',
      messages,
      pull: (progress: PullProgress) => heard.push(progress),
    });
    expect(reply?.view.text).toBe('x');
    expect(paths()).toEqual(['/api/tags', '/api/pull', '/v1/chat/completions']);
    expect(heard).toEqual([
      { model: 'mistral', status: 'pulling manifest' },
      { model: 'mistral', status: 'pulling abc', total: 10, completed: 5 },
      { model: 'mistral', status: 'success' },
    ]);
  });

  it('may be asked for once, for all calls', async () => {
    await run(ollama({ pull: true }), { model: 'mistral', messages });
    expect(paths()).toContain('/api/pull');
  });

  it('is shared by calls for the same model', async () => {
    const endpoint = ollama({ pull: true });
    await Promise.all([1, 2, 3].map(() => run(endpoint, { model: 'mistral', messages })));
    expect(paths().filter((path) => path === '/api/pull')).toHaveLength(1);
    expect(paths().filter((path) => path === '/v1/chat/completions')).toHaveLength(3);
  });

  it('fails the call when it fails, and sends nothing else', async () => {
    upstream.handle(async (_request, reply) => {
      reply.open('application/x-ndjson');
      await reply.write('{"error":"pull model manifest: file does not exist"}\n');
      reply.end();
    }, '/api/pull');
    const { error } = await run(ollama({ pull: true }), { model: 'nope', messages });
    expect(error?.message).toContain('file does not exist');
    expect(paths()).toEqual(['/api/tags', '/api/pull']);
  });

  it('ends when its call is aborted', async () => {
    upstream.handle((_request, reply) => reply.open('application/x-ndjson'), '/api/pull');
    const abort = new AbortController();
    const reason = IModelError.of('cancelled', 'no longer wanted', {});
    const done = run(ollama({ pull: true }), { model: 'mistral', messages }, { signal: abort.signal });
    const request = await upstream.request(1);
    abort.abort(reason);
    expect((await done).error).toBe(reason);
    await request.closed;
  });
});
