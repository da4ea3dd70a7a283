import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Endpoint, Fields } from '../../src/endpoints/endpoint.ts';
import type { HttpEndpointKind } from '../../src/endpoints/protocol.ts';
import { requestJsonSchema } from '../../src/endpoints/request-json-schema.ts';
import { isHttpKind, type Provider } from '../../src/providers/define-provider.ts';
import { providers } from '../../src/providers/index.ts';
import { matchEndpoint } from '../../src/providers/match.ts';
import { startUpstream, type Upstream, type UpstreamReply } from '../../src/testing/upstream.ts';
import { brief, type Outcome, run } from '../endpoints/run.ts';

/**
 * What a vendor is asked, what it answers in its own words, and what must come of it. One file a case, in
 * `test/fixtures/<provider>/<path with dashes>/<case>.json`.
 */
interface Fixture {
  readonly request: Fields;
  readonly stream?: boolean;
  readonly reply: {
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: unknown;
    readonly text?: string;
    readonly base64?: string;
    readonly comments?: readonly string[];
    readonly events?: readonly unknown[];
    readonly lines?: readonly unknown[];
    readonly named?: boolean;
  };
  readonly expect: {
    /** The body that was sent; `same` means the request. */
    readonly wire?: Fields | 'same';
    /** The form that was sent; a file is written `name type size`. */
    readonly form?: Readonly<Record<string, string | readonly string[]>>;
    readonly headers?: Readonly<Record<string, string>>;
    readonly text?: string;
    readonly thinking?: string;
    readonly toolUses?: unknown;
    readonly finishReason?: string | null;
    readonly usage?: Fields | null;
    readonly chunks?: readonly unknown[];
    readonly audioBase64?: string;
    readonly response?: unknown;
    readonly failure?: Fields;
  };
}

const key = 'contract-key';

let upstream: Upstream;
let endpoint: Endpoint | null = null;

beforeEach(async () => {
  upstream = await startUpstream();
});

afterEach(async () => {
  await endpoint?.close();
  endpoint = null;
  await upstream.close();
});

function fixture(provider: Provider, kind: HttpEndpointKind, name: string): Fixture {
  const path = `fixtures/${provider.name}/${kind.path.replaceAll('/', '-')}/${name}.json`;
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url));
  if (!existsSync(file)) throw new Error(`Provider ${provider.name} lacks the fixture test/${path}`);
  return JSON.parse(readFileSync(file, 'utf8')) as Fixture;
}

/** The endpoint, talking to the upstream below the same path as to the vendor. */
function open(provider: Provider, kind: HttpEndpointKind): Endpoint {
  const { pathname } = new URL(kind.baseUrl ?? provider.baseUrl ?? '');
  endpoint = matchEndpoint(provider.name, kind.path, {
    baseUrl: upstream.url + pathname,
    apiKey: key,
    env: {},
    kwargs: kind.path === 'chat/completions' && kind.model === undefined ? { model: 'llama3' } : {},
  });
  return endpoint;
}

async function answer(
  { reply: script }: Fixture,
  reply: UpstreamReply,
  until = Number.POSITIVE_INFINITY,
): Promise<void> {
  if (script.events !== undefined) {
    reply.open('text/event-stream', script.headers);
    for (const comment of script.comments ?? []) await reply.write(`: ${comment}\n\n`);
    await reply.events(script.events.slice(0, until), { named: script.named === true });
  } else if (script.lines !== undefined) {
    reply.open('application/x-ndjson', script.headers);
    for (const line of script.lines.slice(0, until)) await reply.write(`${JSON.stringify(line)}\n`);
  } else {
    const text =
      script.text ?? (script.base64 === undefined ? JSON.stringify(script.body) : Buffer.from(script.base64, 'base64'));
    reply.raw.writeHead(script.status ?? 200, { ...script.headers }).end(text);
  }
}

async function play(
  provider: Provider,
  kind: HttpEndpointKind,
  name: string,
): Promise<{ outcome: Outcome; fixture: Fixture }> {
  const script = fixture(provider, kind, name);
  upstream.handle(async (_request, reply) => {
    await answer(script, reply);
    if (!reply.raw.writableEnded) reply.end();
  });
  const outcome = await run(open(provider, kind), script.request, { stream: script.stream === true });
  return { outcome, fixture: script };
}

async function check(provider: Provider, kind: HttpEndpointKind, name: string): Promise<void> {
  const { outcome, fixture: script } = await play(provider, kind, name);
  const { expect: wanted } = script;
  const sent = upstream.requests[0];
  if (wanted.wire !== undefined) expect(sent?.json()).toEqual(wanted.wire === 'same' ? script.request : wanted.wire);
  if (wanted.form !== undefined) expect(await formOf(sent?.body, sent?.headers['content-type'])).toEqual(wanted.form);
  if (wanted.headers !== undefined) expect(sent?.headers).toMatchObject(wanted.headers);
  if (wanted.failure !== undefined) {
    expect(outcome.error?.failure).toMatchObject({ source: 'provider', ...wanted.failure });
    expect(JSON.stringify(outcome.error)).not.toContain(key);
    return;
  }
  expect(outcome.error).toBe(null);
  const { text, thinking, toolUses, finishReason, usage, chunks, audioBase64, response } = wanted;
  const view = { text, thinking, toolUses, finishReason, usage };
  expect(outcome.reply?.view).toMatchObject(
    Object.fromEntries(Object.entries(view).filter(([, value]) => value !== undefined)),
  );
  if (chunks !== undefined) expect(outcome.chunks.map(brief)).toEqual(chunks);
  if (response !== undefined) expect(outcome.reply?.response).toEqual(response);
  if (audioBase64 !== undefined) {
    expect(outcome.reply?.response).toMatchObject({ audio: new Uint8Array(Buffer.from(audioBase64, 'base64')) });
  }
  if (script.stream === true) {
    expect(outcome.chunks.filter(({ type }) => type === 'result' || type === 'error')).toHaveLength(1);
    expect(outcome.chunks.at(-1)?.type).toBe('result');
    expect(outcome.chunks.filter(({ type }) => type === 'system').length).toBeLessThanOrEqual(1);
  }
}

/** Pieces with which a stream has begun and not ended. */
function beforeEnd({ reply }: Fixture): number {
  return Math.min(3, (reply.events ?? reply.lines ?? []).length - 1);
}

/** A stream that breaks off, whatever came before, is a failure. */
async function checkCut(provider: Provider, kind: HttpEndpointKind, name: string): Promise<void> {
  const script = fixture(provider, kind, name);
  upstream.handle(async (_request, reply) => {
    await answer(script, reply, beforeEnd(script));
    reply.cut();
  });
  const { error, reply, chunks } = await run(open(provider, kind), script.request, { stream: true });
  expect(reply).toBe(null);
  expect(error?.failure).toMatchObject({ code: 'unavailable', retryable: true });
  expect(chunks.at(-1)?.type).toBe('error');
}

/** A cancelled stream closes its socket, and rejects with the reason it was given. */
async function checkCancel(provider: Provider, kind: HttpEndpointKind, name: string): Promise<void> {
  const script = fixture(provider, kind, name);
  upstream.handle((_request, reply) => answer(script, reply, beforeEnd(script)));
  const abort = new AbortController();
  const reason = new Error('no longer wanted');
  const done = run(open(provider, kind), script.request, { stream: true, signal: abort.signal });
  const request = await upstream.request(0);
  abort.abort(reason);
  await expect(done).rejects.toBe(reason);
  await request.closed;
}

async function formOf(body: Buffer | undefined, contentType: string | undefined): Promise<Record<string, unknown>> {
  const form = await new Response(body ?? null, { headers: { 'content-type': contentType ?? '' } }).formData();
  const written: Record<string, unknown> = {};
  for (const name of new Set(form.keys())) {
    const values = form
      .getAll(name)
      .map((value) => (typeof value === 'string' ? value : `${value.name} ${value.type} ${value.size}`));
    written[name] = values.length === 1 ? values[0] : values;
  }
  return written;
}

const isChat = (kind: HttpEndpointKind): boolean => kind.aliases.includes('chat') || kind.path === 'responses';
const chatCases = [
  ['answers a text', 'text'],
  ['asks for a tool', 'tool-call'],
  ['asks for two tools at once', 'parallel-tool-calls'],
  ['streams a text', 'stream'],
  ['shows its reasoning', 'reasoning'],
  ['is told to wait', 'rate-limit'],
  ['reports an overlong prompt', 'overlong-prompt'],
  ['reports a key that is refused', 'auth-failure'],
  ['reports an error inside a stream', 'stream-error'],
] as const;

const list: readonly Provider[] = providers;

describe.each(
  list.filter(({ endpoints }) => endpoints.some(isHttpKind)).map((provider) => [provider.name, provider] as const),
)('%s', (_name, provider) => {
  const kinds = provider.endpoints.filter(isHttpKind);

  describe.each(kinds.map((kind) => [kind.path, kind] as const))('%s', (_path, kind) => {
    it('sends its key as the vendor reads it, to the right path', async () => {
      await play(provider, kind, isChat(kind) ? 'text' : 'success');
      const [request] = upstream.requests;
      const { pathname } = new URL(kind.baseUrl ?? provider.baseUrl ?? '');
      expect(request?.path).toBe(`${pathname === '/' ? '' : pathname}/${kind.path}`);
      const { authorization, 'x-api-key': apiKey } = request?.headers ?? {};
      // On this machine Ollama needs no key, and gets none.
      const auth = provider.keyPolicy === 'remote' ? 'none' : provider.authType;
      expect(authorization).toBe(auth === 'bearer' ? `Bearer ${key}` : undefined);
      expect(apiKey).toBe(auth === 'x-api-key' ? key : undefined);
    });

    it('says what a request may hold, as JSON Schema', () => {
      const schema = requestJsonSchema(open(provider, kind));
      expect(schema).toMatchObject({ type: 'object', additionalProperties: false });
      expect(Object.keys(schema?.properties as object).sort()).toEqual(
        Object.keys(kind.protocol.schema?.shape ?? {}).sort(),
      );
    });

    it('refuses a field it does not know, by name', () => {
      expect(() => open(provider, kind).prepare({ nonsense: 1 })).toThrow(/Unknown field `nonsense`/);
    });

    if (isChat(kind)) {
      it.each(chatCases)('%s', (_case, name) => check(provider, kind, name));
    } else {
      it('answers', () => check(provider, kind, 'success'));
      it('reports a failure', () => check(provider, kind, 'failure'));
      it('takes every field it declares', async () => {
        const { request } = fixture(provider, kind, 'every-field');
        const camel = Object.keys(kind.protocol.accept?.(request) ?? request);
        expect(camel.sort()).toEqual(Object.keys(kind.protocol.schema?.shape ?? {}).sort());
        await check(provider, kind, 'every-field');
      });
    }

    const streams = kind.protocol.framing !== null;
    if (streams && !isChat(kind)) it('streams', () => check(provider, kind, 'stream'));
    if (streams) {
      it('fails when its stream is cut', () => checkCut(provider, kind, 'stream'));
      it('closes its socket when it is cancelled', () => checkCancel(provider, kind, 'stream'));
    }
    if (!streams) {
      it('refuses to stream', async () => {
        const { request } = fixture(provider, kind, 'success');
        const { error } = await run(open(provider, kind), request, { stream: true });
        expect(error?.failure).toMatchObject({ code: 'invalid_request', path: 'stream' });
        expect(upstream.accepted).toBe(0);
      });
    }
  });
});

it('a conflict passes at OpenAI and at Anthropic, and is final elsewhere', async () => {
  upstream.handle((_request, reply) => reply.json({ error: { message: 'Another request was in the way' } }, 409));
  const passes: string[] = [];
  for (const provider of list) {
    for (const kind of provider.endpoints.filter(isHttpKind)) {
      const { request } = fixture(provider, kind, isChat(kind) ? 'text' : 'success');
      const { error } = await run(open(provider, kind), request);
      expect(error?.failure).toMatchObject({ code: 'rejected', status: 409 });
      if (error?.failure.retryable) passes.push(provider.name);
      await endpoint?.close();
    }
  }
  expect([...new Set(passes)]).toEqual(['openai', 'anthropic']);
});

it('covers the twenty-eight endpoints', () => {
  expect(list.flatMap(({ endpoints }) => endpoints.filter(isHttpKind))).toHaveLength(28);
});
