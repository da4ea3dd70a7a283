import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { connectNats } from '../../src/bus/nats.ts';
import { type Gateway, startGateway } from '../../src/gateway/gateway.ts';
import { createRuntime, type Runtime } from '../../src/runtime/runtime.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';
import { folder, startProgram } from '../cli/program.ts';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { startServer } from '../integration/private-server.ts';

const nats = { servers: inject('natsUrl') };
const messages = [{ role: 'user' as const, content: 'hello' }];
const here = uniqueId();
const there = uniqueId();
const limited = uniqueId();
const whisper = uniqueId();
const speaker = uniqueId();

let upstream: Upstream;
let near: Runtime;
let far: Runtime;
let gateway: Gateway;
let client: OpenAI;

beforeAll(async () => {
  upstream = await startUpstream();
  upstream.handle(
    ({ body }, reply) => reply.json({ text: /RIFF/.exec(String(body))?.[0] }),
    '/v1/audio/transcriptions',
  );
  upstream.handle((request, reply) => {
    reply.raw.writeHead(200, { 'content-type': 'audio/mpeg' }).end(`ID3 ${request.json().input}`);
  }, '/v1/audio/speech');
  const vendor = { provider: 'openai', apiKey: 'sk-for-a-test', baseUrl: `${upstream.url}/v1` };
  far = await createRuntime({
    models: {
      [whisper]: { ...vendor, endpoint: 'audio/transcriptions', model: 'whisper-1' },
      [speaker]: { ...vendor, endpoint: 'audio/speech', model: 'tts-1' },
      [there]: { model: `scripted/${there}-model`, chunks: 5 },
      [limited]: { model: 'scripted/other', limitRequests: 2, interval: 60, concurrencyLimit: 1, delayMs: 50 },
    },
    nats,
  });
  near = await createRuntime({ models: { [here]: { model: 'scripted/echo' } }, nats });
  gateway = await startGateway(near, { port: 0 });
  client = new OpenAI({ apiKey: 'none', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
});

afterAll(async () => {
  await gateway.close();
  await near.close();
  await far.close();
  await upstream.close();
});

const get = async (path: string): Promise<unknown> => (await fetch(`${gateway.url}${path}`)).json();

describe('the gateway, for iModels of another process', () => {
  it('lists them after its own', async () => {
    const ids = (await client.models.list()).data.map(({ id }) => id);
    expect(ids[0]).toBe(here);
    expect(ids).toEqual(expect.arrayContaining([there, limited]));
    expect(ids).toEqual([...new Set(ids)]);
    expect(await client.models.retrieve(there)).toMatchObject({ id: there, owned_by: 'scripted' });
    const { data } = (await get('/v1/imodels')) as { data: { id: string }[] };
    expect(data).toContainEqual(expect.objectContaining({ id: there, mode: 'idle', model: `${there}-model` }));
  });

  it('answers with them, by id and by the name of the model', async () => {
    for (const model of [there, `${there}-model`, `scripted/${there}-model`]) {
      const answer = await client.chat.completions.create({ model, messages });
      expect(answer.choices[0]).toMatchObject({ message: { content: 'hello' }, finish_reason: 'stop' });
      expect(answer.usage?.completion_tokens).toBeGreaterThan(0);
    }
    expect(far.models.get(there)?.state.counters.completed).toBe(3);
  });

  it('streams with them, chunk by chunk', async () => {
    const stream = await client.chat.completions.create({ model: there, messages, stream: true });
    const pieces: string[] = [];
    for await (const { choices } of stream) if (choices[0]?.delta.content) pieces.push(choices[0].delta.content);
    expect(pieces).toHaveLength(5);
    expect(pieces.join('')).toBe('hello');
  });

  it('speaks the other protocols with them too', async () => {
    const body = { model: there, max_tokens: 100, messages };
    const answer = await fetch(`${gateway.url}/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' },
      body: JSON.stringify(body),
    });
    expect(await answer.json()).toMatchObject({ content: [{ type: 'text', text: 'hello' }], stop_reason: 'end_turn' });
  });

  it('hands their refusals on', async () => {
    const wrong = client.chat.completions.create({ model: there, messages, cheese: 1 } as never);
    await expect(wrong).rejects.toMatchObject({ status: 400, message: expect.stringContaining('cheese') });
    const unknown = client.chat.completions.create({ model: 'nobody', messages });
    await expect(unknown).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });

  it('hands files and sound to and fro', async () => {
    const heard = await client.audio.transcriptions.create({ model: whisper, file: new File(['RIFF'], 'a.wav') });
    expect(heard.text).toBe('RIFF');
    const response = await client.audio.speech.create({ model: speaker, input: 'hello', voice: 'alloy' });
    expect(response.headers.get('content-type')).toBe('audio/mpeg');
    expect(await response.text()).toBe('ID3 hello');
    const asked = { model: speaker, input: 'hello', voice: 'alloy', stream_format: 'sse' } as const;
    const events = await (await client.audio.speech.create(asked)).text();
    expect(events).toContain(Buffer.from('ID3 hello').toString('base64'));
    expect(events).toContain('speech.audio.done');
  });

  it('tells how their limits stand, and waits in their queue no longer than it may', async () => {
    const first = await client.chat.completions.create({ model: limited, messages }).withResponse();
    expect(first.response.headers.get('x-ratelimit-limit-requests')).toBe('2');
    await client.chat.completions.create({ model: limited, messages });
    const third = client.chat.completions.create(
      { model: limited, messages },
      { headers: { 'imodel-queue-ms': '100' } },
    );
    await expect(third).rejects.toMatchObject({
      status: expect.toSatisfy((status) => [408, 429, 504].includes(status)),
    });
    expect(far.models.get(limited)?.state.counters.started).toBe(2);
  });

  it('controls them, and takes calls back', async () => {
    const control = (action: string) =>
      fetch(`${gateway.url}/v1/imodels/${there}/control`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ action }),
      });
    expect(await (await control('pause')).json()).toMatchObject({ id: there, mode: 'paused' });
    const call = client.chat.completions.create({ model: there, messages }, { headers: { 'imodel-call': 'mine' } });
    const ended = expect(call).rejects.toMatchObject({ code: 'cancelled' });
    await expect.poll(() => far.models.get(there)?.state.queue.waiting).toBe(1);
    expect(await get(`/v1/imodels/${there}`)).toMatchObject({ queue: { waiting: 1 } });
    const taken = await fetch(`${gateway.url}/v1/imodels/${there}/calls/mine`, { method: 'DELETE' });
    expect(await taken.json()).toEqual({ call_id: 'mine', cancelled: true });
    await ended;
    expect(await (await control('resume')).json()).toMatchObject({ mode: 'idle' });
  });

  it('makes no trip over the bus for its own', async () => {
    const bus = await connectNats(nats);
    const seen: string[] = [];
    for (const id of [here, there]) {
      for (const kind of ['invoke', 'stream', 'chunks.*']) {
        bus.subscribe(`imodel.${id}.${kind}`, ({ subject }) => void seen.push(subject));
      }
    }
    await bus.flush();
    for (const model of [here, there]) {
      await client.chat.completions.create({ model, messages });
      for await (const _chunk of await client.chat.completions.create({ model, messages, stream: true }));
    }
    await expect.poll(() => seen.length).toBeGreaterThan(2);
    expect(seen.filter((subject) => subject.includes(here))).toEqual([]);
    await bus.close();
  });
});

describe.concurrent('a caller that leaves', () => {
  it.each([
    ['while its call waits', { delayMs: 0 }, true],
    ['before the first byte', { delayMs: 60_000 }, false],
    ['while it reads', { chunks: 1_000, chunkDelayMs: 20 }, false],
  ])('ends its call on the other node, %s', async (_phase, script, isPaused) => {
    const id = uniqueId();
    await using other = await createRuntime({ models: { [id]: { model: 'scripted/echo', ...script } }, nats });
    const model = other.models.get(id);
    if (isPaused) model?.pause();
    const ended = new Promise<string>((resolve) => {
      model?.observe(({ type, status }) => type === 'post_invocation' && resolve(String(status)));
    });
    const request = httpRequest(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    request.on('error', () => {});
    request.end(JSON.stringify({ model: id, messages: [{ role: 'user', content: 'x'.repeat(1_000) }], stream: true }));
    if ('chunks' in script) {
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      expect(response.statusCode).toBe(200);
      await once(response, 'data');
    } else {
      await expect.poll(() => (model?.state.running ?? 0) + (model?.state.queue.waiting ?? 0)).toBe(1);
    }
    request.destroy();
    expect(await ended).toBe('cancelled');
  });
});

describe.concurrent('a node that dies', () => {
  it('in the middle of a stream ends it with an error event', async () => {
    const id = uniqueId();
    const config = join(folder, `${id}.json`);
    writeFileSync(
      config,
      JSON.stringify({ models: { [id]: { model: 'scripted/echo', chunks: 1_000, chunk_delay_ms: 20 } } }),
    );
    const host = startProgram(['serve', '--nats', nats.servers, '--config', config]);
    await host.until(/ready/);
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: id, messages: [{ role: 'user', content: 'x'.repeat(1_000) }], stream: true }),
    });
    let text = '';
    const decoder = new TextDecoder();
    for await (const piece of answer.body as ReadableStream<Uint8Array>) {
      if (text === '') host.child.kill('SIGKILL');
      text += decoder.decode(piece, { stream: true });
    }
    expect(text).toContain('data: {"error":');
    expect(text).not.toContain('[DONE]');
    // Who asks now is told at once.
    const gone = client.chat.completions.create({ model: id, messages });
    await expect(gone).rejects.toMatchObject({ status: 503 });
    // A host is given up when it has been silent for 15 s: it may come back.
  }, 60_000);
});

it.concurrent('finds who comes and forgets who goes', async () => {
  const bus = await connectNats(nats);
  const id = uniqueId();
  const other = await createRuntime({ models: { [id]: { model: 'scripted/echo' } } }, { bus });
  const answer = await client.chat.completions.create({ model: id, messages });
  expect(answer.choices[0]?.message.content).toBe('hello');
  await other.close();
  await expect
    .poll(async () => (await client.models.list()).data.some((model) => model.id === id), {
      timeout: 15_000,
      interval: 500,
    })
    .toBe(false);
  await bus.close();
});

it.concurrent('says soon that it cannot know who is there while the server is away, and serves its own', async () => {
  const server = await startServer();
  const id = uniqueId();
  const runtime = await createRuntime({
    models: { [id]: { model: 'scripted/echo' } },
    nats: { servers: server.url },
  });
  const alone = await startGateway(runtime, { port: 0 });
  const openai = new OpenAI({ apiKey: 'none', baseURL: `${alone.url}/v1`, maxRetries: 0 });
  await server.stop();
  await expect(openai.chat.completions.create({ model: 'stranger', messages })).rejects.toMatchObject({
    status: 502,
    message: expect.stringContaining('The bus does not answer'),
  });
  const answer = await openai.chat.completions.create({ model: id, messages });
  expect(answer.choices[0]?.message.content).toBe('hello');
  await alone.close();
  await runtime.close();
}, 30_000);
