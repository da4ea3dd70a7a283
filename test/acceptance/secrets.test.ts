import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type ApiCalling, createMemoryBus, iModel } from '../../src/index.ts';
import { startUpstream, type UpstreamHandler } from '../../src/testing/upstream.ts';
import { readAll, rejection } from './timed-endpoint.ts';

const key = 'sk-SENTINEL-4f1b9c';
const messages = [{ role: 'user', content: 'hello' }];
const textEvent = { choices: [{ index: 0, delta: { content: 'a' } }] };

/** Upstreams that repeat the header they got, as a proxy or a debugging server may. */
const echoes: Record<string, UpstreamHandler> = {
  'an error of a vendor': ({ headers }, reply) => {
    const error = { message: `bad key ${headers.authorization}`, type: `no ${key}`, code: key, param: key };
    reply.json({ error }, 401, { 'x-request-id': `request of ${key}` });
  },
  'a text': ({ headers }, reply) => reply.text(`no route for ${headers.authorization}`, 500),
  'a page': ({ headers }, reply) => reply.text(`<p>${headers.authorization}`, 200, { 'content-type': 'text/html' }),
  'an error with a success status': ({ headers }, reply) => reply.json({ error: { message: headers.authorization } }),
  'a redirect': (_request, reply) => reply.text('', 302, { location: `http://elsewhere/?key=${key}` }),
  'an error inside a stream': async ({ headers }, reply) => {
    await reply.events([textEvent, { error: { message: `oops ${headers.authorization}`, code: key } }]);
    reply.end();
  },
  'a stream that does not parse': async ({ headers }, reply) => {
    await reply.events([textEvent, `garbage ${headers.authorization}`]);
    reply.end();
  },
  'a reply that is no HTTP': (_request, reply) => {
    reply.raw.socket?.end(`HTTP/1.1 200 OK\r\nbroken header ${key}\r\n\r\n`);
  },
  'a connection that is cut': (_request, reply) => reply.cut(),
};

/** Every way something of a call or model is written down or printed. */
function writings(model: iModel, call: ApiCalling): Record<string, string> {
  const error = call.error as Error | null;
  const all = { depth: 20, maxStringLength: null, maxArrayLength: null };
  return {
    'the dict of the call': JSON.stringify(call.toDict()),
    'the call on the wire': JSON.stringify(call.toWire()),
    'the failure': JSON.stringify(call.failure),
    'the message': String(error?.message),
    'the stack': String(error?.stack),
    'the error, printed with its causes': inspect(error, all),
    'the call, printed': inspect(call, all),
    'the model, printed': inspect(model, all),
    'the state': JSON.stringify(model.state),
    'the dict of the model': JSON.stringify(model.toDict({ includeRequestOptions: true })),
  };
}

function expectNoSecret(texts: Record<string, string>, secret = key): void {
  for (const [what, text] of Object.entries(texts)) expect(text.includes(secret), what).toBe(false);
}

describe('a key', () => {
  it.each(Object.keys(echoes))('is nowhere to be found after %s that repeats it', async (name) => {
    await using upstream = await startUpstream(echoes[name]);
    const bus = createMemoryBus();
    const published: string[] = [];
    bus.subscribe('>', (message) => {
      published.push(`${message.subject} ${JSON.stringify(message.value())}`);
    });
    await using model = new iModel({
      provider: 'local',
      baseUrl: upstream.url,
      model: 'm',
      apiKey: key,
      retry: { maxRetries: 1, baseDelay: 0.001 },
    });
    const events: string[] = [];
    model.observe((event) => events.push(JSON.stringify(event)));
    const served = model.serve(bus);

    const call = await model.invoke({ messages });
    const stream = model.stream({ messages });
    const { chunks, error } = await readAll(stream);
    const reply = await bus.request(`imodel.${model.id}.invoke`, { messages }, { timeoutMs: 5_000 });
    await bus.flush();

    expect(upstream.requests[0]?.headers.authorization).toBe(`Bearer ${key}`);
    expect([call.status, stream.call.status]).toEqual(['failed', 'failed']);
    expectNoSecret({
      ...writings(model, call),
      'the chunks': inspect(chunks, { depth: 20 }),
      'the error of the stream': inspect(error, { depth: 20 }),
      'the events': events.join('\n'),
      'the reply on the bus': JSON.stringify(reply.value()),
      'what was published': published.join('\n'),
    });
    expectNoSecret(writings(model, stream.call));
    expect(published.length).toBeGreaterThan(3);
    served.close();
    await bus.close();
  });

  it('is nowhere to be found when it cannot be sent', async () => {
    await using upstream = await startUpstream();
    await using model = new iModel({ provider: 'local', baseUrl: upstream.url, model: 'm', apiKey: `${key}\n` });
    const call = await model.invoke({ messages }).catch((error: { call: ApiCalling }) => error.call);
    expect(call.status).toBe('failed');
    expectNoSecret(writings(model, call));
    expect(upstream.requests).toEqual([]);
  });

  it('is nowhere to be found when it comes from a variable, or there is none', async () => {
    await using upstream = await startUpstream(echoes['an error of a vendor']);
    const env: Record<string, string> = { OPENAI_API_KEY: key };
    await using model = new iModel({ provider: 'openai', model: 'gpt-4o', baseUrl: upstream.url, env });
    const call = await model.invoke({ messages });
    expect(call.failure).toMatchObject({ code: 'unauthorized', variable: 'OPENAI_API_KEY' });
    expectNoSecret(writings(model, call));
    env.OPENAI_API_KEY = '';
    const missing = await rejection(model.invoke({ messages }));
    expect(missing.code).toBe('missing_api_key');
  });

  it.each([
    ['apikey', { apikey: key }],
    ['a header in the request', { headers: { authorization: `Bearer ${key}` } }],
    ['Authorization', { Authorization: `Bearer ${key}` }],
    ['api_key', { api_key: key }],
    ['a token', { access_token: [key] }],
  ])('is not printed when it stands where no key belongs: %s', async (_name, fields) => {
    const model = new iModel({ provider: 'openai', model: 'gpt-4o' });
    const refused = [
      await rejection(model.invoke({ messages, ...fields })),
      await rejection((async () => new iModel({ model: 'openai/gpt-4o', ...fields, headers: 5 }))()),
      await rejection((async () => new iModel({ model: 'openai/gpt-4o', ...fields, nothing: 1 }))()),
      await rejection(model.invoke({ messages }, fields as never)),
    ];
    for (const error of refused) expectNoSecret({ message: inspect(error, { depth: 20 }) });
  });

  it.each([
    ['an object', { apiKey: { value: key } }],
    ['the text of headers', { headers: `authorization: Bearer ${key}` }],
    ['a header that is no text', { headers: { authorization: [key] } }],
    ['the password of a URL', { baseUrl: `http://user:${key}@127.0.0.1:9/` }],
    ['the password of a URL that is none', { baseUrl: `user:${key}@127.0.0.1` }],
    ['the query of a URL that is none', { baseUrl: `ftp://127.0.0.1/?key=${key}` }],
  ])('is not printed when it is given wrongly: as %s', async (_name, options) => {
    const error = await rejection((async () => new iModel({ provider: 'local', model: 'm', ...options } as never))());
    expect(error.code).toBe('config');
    expectNoSecret({ error: inspect(error, { depth: 20 }) });
  });

  it('in a header of the caller is sent and written down nowhere', async () => {
    await using upstream = await startUpstream((_request, reply) => reply.text('busy', 503));
    await using model = new iModel({
      provider: 'local',
      baseUrl: upstream.url,
      model: 'm',
      headers: { 'x-api-key': key, cookie: `session=${key}` },
      retry: null,
    });
    const call = await model.invoke({ messages });
    expect(upstream.requests[0]?.headers).toMatchObject({ 'x-api-key': key, cookie: `session=${key}` });
    const { 'the model, printed': _endpointConfig, ...written } = writings(model, call);
    expectNoSecret(written);
  });
});
