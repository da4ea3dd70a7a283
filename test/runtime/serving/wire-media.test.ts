import { Packr } from 'msgpackr';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Chunk } from '../../../schemas/chunk.ts';
import type { Bus } from '../../../src/bus/bus.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { iModel } from '../../../src/imodel.ts';
import { createEndpoint } from '../../../src/providers/create.ts';
import { RemoteEndpoint } from '../../../src/runtime/remote/remote-endpoint.ts';
import { connect } from '../../../src/runtime/remote/remote-model.ts';
import { serveEndpoint } from '../../../src/runtime/serving/serve-endpoint.ts';
import { startUpstream, type Upstream } from '../../../src/testing/upstream.ts';
import { uniqueId } from '../../integration/connect-test-bus.ts';
import { buses, type Ends } from '../../integration/served-model.ts';

/** Above the largest message that a server takes unless told otherwise. */
const picture = Buffer.alloc(1_500_000, 7);
const sound = Uint8Array.from({ length: 100_000 }, (_value, index) => index % 256);
const usage = { input_tokens: 3, output_tokens: 9, total_tokens: 12 };
const about = { size: '1024x1024', quality: 'low', background: 'opaque', output_format: 'png' };
const imageAnswer = { created: 5, data: [{ b64_json: picture.toString('base64') }], ...about, usage };

/** A vendor of images and of sound, which streams where it is asked to. */
async function openVendor(): Promise<Upstream> {
  const upstream = await startUpstream();
  upstream.handle(async (request, reply) => {
    if (request.json().stream !== true) {
      reply.json(imageAnswer);
      return;
    }
    const event = { created_at: 5, ...about };
    await reply.events(
      [
        { type: 'image_generation.partial_image', b64_json: 'AAEC', partial_image_index: 0, ...event },
        { type: 'image_generation.completed', b64_json: picture.toString('base64'), ...event, usage },
      ],
      { named: true },
    );
    reply.end();
  }, '/v1/images/generations');
  upstream.handle(async (_request, reply) => {
    reply.open('audio/mpeg');
    for (let start = 0; start < sound.length; start += 20_000) await reply.write(sound.subarray(start, start + 20_000));
    reply.end();
  }, '/v1/audio/speech');
  upstream.handle((request, reply) => {
    reply.json({ text: `${request.body.includes(Buffer.from(sound))}` });
  }, '/v1/audio/transcriptions');
  return upstream;
}

let upstream: Upstream;
beforeEach(async () => {
  upstream = await openVendor();
});
afterEach(() => upstream.close());

const optionsOf = (endpoint: string) => ({
  provider: 'openai',
  endpoint,
  apiKey: 'sk-test',
  baseUrl: `${upstream.url}/v1`,
});

async function read(stream: AsyncIterable<Chunk>): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const joined = (chunks: readonly Chunk[]) => Buffer.concat(chunks.map(({ data }) => data ?? new Uint8Array(0)));

describe('in one process', () => {
  it('a streamed image ends as the one-shot answer does', async () => {
    await using model = new iModel(optionsOf('images/generations'));
    const stream = model.stream({ prompt: 'a', partial_images: 1 });
    const chunks = await read(stream);
    const media = chunks.filter(({ type }) => type === 'media');
    expect(media.map(({ data, ...rest }) => [data?.length, rest])).toEqual([
      [3, { type: 'media', mediaType: 'image/png', metadata: { partialImageIndex: 0, image: expect.anything() } }],
      [picture.length, { type: 'media', mediaType: 'image/png', metadata: { image: { created_at: 5, ...about } } }],
    ]);
    const call = await model.invoke({ prompt: 'a' });
    expect(stream.call.response).toEqual(call.response);
    expect(stream.call.response).toEqual(imageAnswer);
    expect([stream.call.usage, stream.call.finishReason]).toEqual([call.usage, call.finishReason]);
    expect(stream.call.usage).toMatchObject({ inputTokens: 3, outputTokens: 9 });
  });

  it('a host that cannot stream images answers with a stream of one', async () => {
    upstream.handle((_request, reply) => reply.json(imageAnswer), '/v1/images/generations');
    await using model = new iModel(optionsOf('images/generations'));
    const chunks = await read(model.stream({ prompt: 'a' }));
    expect(chunks.map(({ type }) => type)).toEqual(['system', 'media', 'result']);
    expect(joined(chunks).equals(picture)).toBe(true);
  });

  it('images are as many as were asked for, or the stream has failed', async () => {
    const done = { type: 'image_edit.completed', b64_json: 'AAEC', created_at: 5, ...about, usage };
    const send = (count: number) =>
      upstream.handle(async (_request, reply) => {
        await reply.events(Array.from({ length: count }, () => done));
        reply.end();
      }, '/v1/images/generations');
    await using model = new iModel({ ...optionsOf('images/generations'), retry: null });
    send(2);
    const two = model.stream({ prompt: 'a', n: 2 });
    await read(two);
    expect(two.call.response).toMatchObject({ data: [{ b64_json: 'AAEC' }, { b64_json: 'AAEC' }] });
    send(1);
    const one = model.stream({ prompt: 'a', n: 2 });
    await expect(read(one)).rejects.toMatchObject({ code: 'unavailable' });
    expect(one.call.response).toMatchObject({ data: [{ b64_json: 'AAEC' }] });
  });

  it('sound comes piece by piece, and is whole in the end', async () => {
    await using model = new iModel(optionsOf('audio/speech'));
    const stream = model.stream({ input: 'hello' });
    const chunks = await read(stream);
    const media = chunks.filter(({ type }) => type === 'media');
    expect(media.length).toBeGreaterThan(1);
    expect(new Set(media.map(({ mediaType, isDelta }) => `${mediaType} ${isDelta}`))).toEqual(
      new Set(['audio/mpeg true']),
    );
    expect(joined(media).equals(sound)).toBe(true);
    expect(stream.call.response).toEqual((await model.invoke({ input: 'hello' })).response);
    expect(stream.call.toDict().execution.response).toEqual({
      audio: { base64: Buffer.from(sound).toString('base64') },
      contentType: 'audio/mpeg',
    });
  });

  it('sound that breaks off is no success, and what came is kept', async () => {
    upstream.handle(async (_request, reply) => {
      reply.open('audio/mpeg');
      await reply.write(sound.subarray(0, 20_000));
      reply.cut();
    }, '/v1/audio/speech');
    await using model = new iModel(optionsOf('audio/speech'));
    const stream = model.stream({ input: 'hello' });
    await expect(read(stream)).rejects.toMatchObject({ code: 'unavailable' });
    expect(stream.call.status).toBe('failed');
    expect(upstream.requests).toHaveLength(1);
    expect((stream.call.response as { audio: Uint8Array }).audio.length).toBe(20_000);
  });

  it('events of sound are read by whoever asks in one piece, too', async () => {
    const asked: unknown[] = [];
    upstream.handle(async (request, reply) => {
      asked.push(request.json().stream_format);
      await reply.events([
        { type: 'speech.audio.delta', audio: 'AAEC' },
        { type: 'speech.audio.done', usage },
      ]);
      reply.end();
    }, '/v1/audio/speech');
    await using model = new iModel(optionsOf('audio/speech'));
    const request = { input: 'hello', response_format: 'opus', stream_format: 'sse' };
    const call = await model.invoke(request);
    expect(call.response).toEqual({ audio: new Uint8Array([0, 1, 2]), contentType: 'audio/opus' });
    expect(call.usage).toMatchObject({ inputTokens: 3, outputTokens: 9, totalTokens: 12 });
    expect(asked).toEqual(['sse']);
  });

  it('an error among the events of sound is a failure', async () => {
    upstream.handle(async (_request, reply) => {
      await reply.events([
        { type: 'speech.audio.delta', audio: 'AAEC' },
        { type: 'error', error: { message: 'No more breath', type: 'server_error' } },
      ]);
      reply.end();
    }, '/v1/audio/speech');
    await using model = new iModel({ ...optionsOf('audio/speech'), retry: null });
    const stream = model.stream({ input: 'hello', stream_format: 'sse' });
    await expect(read(stream)).rejects.toMatchObject({ message: expect.stringContaining('No more breath') });
  });

  it('sound whose first bytes look like an event is sound', async () => {
    upstream.handle((_request, reply) => {
      reply.raw.writeHead(200, { 'content-type': 'audio/pcm' }).end(': ab');
    }, '/v1/audio/speech');
    await using model = new iModel(optionsOf('audio/speech'));
    const call = await model.invoke({ input: 'hello', response_format: 'pcm' });
    expect(call.response).toEqual({ audio: new Uint8Array(Buffer.from(': ab')), contentType: 'audio/pcm' });
  });
});

describe.each(Object.entries(buses))('over %s', (name, open) => {
  let ends: Ends;
  const opened: { close(): unknown }[] = [];
  beforeEach(async () => {
    ends = await open();
  });
  afterEach(async () => {
    for (const one of opened.splice(0).reverse()) await one.close();
    await ends.caller.close();
    await ends.host.close();
  });

  async function serve(endpoint: string): Promise<string> {
    const id = uniqueId();
    const model = new iModel({ ...optionsOf(endpoint), id });
    opened.push(model, model.serve(ends.host));
    await ends.host.flush();
    return id;
  }

  it('images arrive as they were, larger than one message too', async () => {
    const remote = connect(ends.caller).model(await serve('images/generations'));
    const stream = remote.stream({ prompt: 'a', partial_images: 1 });
    const media = (await read(stream)).filter(({ type }) => type === 'media');
    expect(media.map(({ data }) => data?.length)).toEqual([3, picture.length]);
    expect(Buffer.from(media[1]?.data ?? []).equals(picture)).toBe(true);
    expect(stream.call?.response).toEqual(imageAnswer);
    expect(stream.call?.usage).toMatchObject({ inputTokens: 3, outputTokens: 9 });
  });

  it('sound arrives as bytes, streamed and in one piece', async () => {
    const remote = connect(ends.caller).model(await serve('audio/speech'));
    const stream = remote.stream({ input: 'hello' });
    expect(joined(await read(stream)).equals(sound)).toBe(true);
    const whole = { audio: sound, contentType: 'audio/mpeg' };
    expect(stream.call?.response).toEqual(whole);
    expect((await remote.invoke({ input: 'hello' })).response).toEqual(whole);
  });

  it('is base64 for whoever reads JSON or MessagePack without us', async () => {
    const id = await serve('audio/speech');
    const audio = { base64: Buffer.from(sound).toString('base64') };
    const asked = { input: 'hello' };
    const json = await ends.caller.request(subjects.invoke(id), asked, { timeoutMs: 5_000 });
    expect(json.value()).toMatchObject({ execution: { response: { audio, contentType: 'audio/mpeg' } } });
    const packed = new Packr({ useRecords: false }).pack(asked);
    const options = { timeoutMs: 5_000, contentType: 'application/msgpack' } as const;
    const message = await ends.caller.request(subjects.invoke(id), packed, options);
    if (name === 'nats') expect(message.contentType).toBe('application/msgpack');
    expect(message.value()).toMatchObject({ execution: { response: { audio } } });
    const pieces = await heard(ends.caller, id, asked);
    expect(Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64'))).equals(sound)).toBe(true);
  });

  it('files of a request arrive', async () => {
    const remote = connect(ends.caller).model(await serve('audio/transcriptions'));
    expect((await remote.invoke({ file: sound })).text).toBe('true');
  });

  it('comes from an endpoint elsewhere just so', async () => {
    for (const [path, request] of [
      ['audio/speech', { input: 'hello' }],
      ['audio/transcriptions', { file: sound }],
    ] as const) {
      const served = uniqueId();
      const endpoint = createEndpoint(optionsOf(path));
      opened.push(endpoint, serveEndpoint(endpoint, served, ends.host));
      await ends.host.flush();
      const template = createEndpoint({ ...optionsOf(path) });
      const model = new iModel({
        endpoint: new RemoteEndpoint({ bus: ends.caller, name: served, template, kwargs: {} }),
      });
      opened.push(template, model);
      const call = await model.invoke(request);
      if (path === 'audio/transcriptions') expect(call.text).toBe('true');
      else expect(call.response).toEqual({ audio: sound, contentType: 'audio/mpeg' });
    }
  });
});

/** The data of the chunks of one stream, read as a client would that knows the contract and no more. */
async function heard(bus: Bus, id: string, asked: object): Promise<string[]> {
  const callId = uniqueId();
  const pieces: string[] = [];
  const ended = new Promise<void>((resolve) => {
    const subscription = bus.subscribe(subjects.chunks(id, callId), (message) => {
      const value = message.value() as { kind: string; type?: string; data?: string; media_type?: string };
      if (value.kind === 'chunk' && value.type === 'media') {
        expect(value.media_type).toBe('audio/mpeg');
        pieces.push(value.data ?? '');
      }
      if (value.kind !== 'end') return;
      subscription.close();
      resolve();
    });
  });
  await bus.flush();
  await bus.request(subjects.stream(id), asked, { timeoutMs: 5_000, headers: { 'Imodel-Call': callId } });
  await ended;
  return pieces;
}
