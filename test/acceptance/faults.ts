import { type RecordedRequest, startUpstream, type UpstreamHandler } from '../../src/testing/upstream.ts';

/** What one bad day at a vendor looks like. */
export interface Fault {
  readonly name: string;
  /** What the upstream does; absent where there is nobody to do it. */
  readonly handler?: UpstreamHandler;
  /** Where the model is said to be, where that is the fault. */
  readonly baseUrl?: string;
  /** The upstream falls silent, and the call's own patience decides. */
  readonly isSilent?: boolean;
}

const delta = (content: string) => ({ id: 'c', model: 'm', choices: [{ index: 0, delta: { content } }] });
const stop = { id: 'c', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };
const answer = {
  id: 'c',
  object: 'chat.completion',
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'all of it' }, finish_reason: 'stop' }],
};
const head = JSON.stringify(answer).slice(0, 40);
/** The bytes of a text, with one that is no UTF-8 in the place of its question mark. */
const spoiled = (text: string): Buffer =>
  Buffer.from(Buffer.from(text).map((byte) => (byte === '?'.charCodeAt(0) ? 0xff : byte)));
const isStream = (request: RecordedRequest): boolean => request.json().stream === true;
const refusal = (status: number, headers: Readonly<Record<string, string>> = {}): UpstreamHandler => {
  return (_request, reply) => reply.json({ error: { message: `The upstream says ${status}` } }, status, headers);
};

/** Every fault of the matrix, in the order of the table in `docs/faults.md`. */
export const faults: readonly Fault[] = [
  { name: '429', handler: refusal(429) },
  { name: '429 with `Retry-After`', handler: refusal(429, { 'retry-after': '0.05' }) },
  { name: '500', handler: refusal(500) },
  { name: '503', handler: refusal(503) },
  { name: '529', handler: refusal(529) },
  // The port of the discard service, which nobody runs any more.
  { name: 'connection refused', baseUrl: 'http://127.0.0.1:9' },
  { name: 'connection reset', handler: (_request, reply) => reply.cut() },
  // A label of a host name has at most 63 characters: no name server is asked for this one.
  { name: 'unknown host', baseUrl: `http://${'nobody'.repeat(11)}.invalid` },
  { name: 'no headers in time', isSilent: true, handler: () => {} },
  {
    name: 'stall in the middle',
    isSilent: true,
    handler: async (request, reply) => {
      if (isStream(request)) return reply.events([delta('half')]);
      reply.open('application/json');
      await reply.write(head);
    },
  },
  {
    name: 'cut in the middle',
    handler: async (request, reply) => {
      if (isStream(request)) {
        await reply.events([delta('half')]);
      } else {
        reply.open('application/json');
        await reply.write(head);
      }
      reply.cut();
    },
  },
  {
    name: 'end without a terminal event',
    handler: async (request, reply) => {
      if (!isStream(request)) return reply.text(head, 200, { 'content-type': 'application/json' });
      await reply.events([delta('half')]);
      reply.end();
    },
  },
  {
    name: 'malformed event',
    handler: async (request, reply) => {
      if (!isStream(request)) return reply.text('{"choices": [', 200, { 'content-type': 'application/json' });
      await reply.events([delta('half'), '{"choices": [', stop, '[DONE]']);
      reply.end();
    },
  },
  {
    name: 'invalid UTF-8',
    handler: async (request, reply) => {
      if (isStream(request)) {
        await reply.events([delta('half')]);
        await reply.write(spoiled(`data: ${JSON.stringify(delta('?'))}\n\n`));
        await reply.events([stop, '[DONE]']);
      } else {
        reply.open('application/json');
        await reply.write(spoiled(JSON.stringify(answer).replace('all of it', '?')));
      }
      reply.end();
    },
  },
  {
    name: '`[DONE]` twice',
    handler: async (request, reply) => {
      if (!isStream(request)) return reply.json(answer);
      await reply.events([delta('all of it'), stop, '[DONE]', '[DONE]']);
      reply.end();
    },
  },
  {
    name: 'an error event after text',
    handler: async (request, reply) => {
      const error = { error: { message: 'The server had an error', type: 'server_error' } };
      if (!isStream(request)) return reply.json(error, 500);
      await reply.events([delta('half'), error]);
      reply.end();
    },
  },
  { name: '200 with an error body', handler: (_request, reply) => reply.json({ error: { message: 'Overloaded' } }) },
  {
    name: 'an HTML page with status 502',
    handler: (_request, reply) =>
      reply.text('<html><h1>502 Bad Gateway</h1></html>', 502, { 'content-type': 'text/html' }),
  },
  {
    name: 'an HTML page with status 200',
    handler: (_request, reply) => reply.text('<html>Sign in</html>', 200, { 'content-type': 'text/html' }),
  },
  { name: '201', handler: (_request, reply) => reply.json(answer, 201) },
  { name: '204', handler: (_request, reply) => void reply.raw.writeHead(204).end() },
  {
    name: 'redirect to a private address',
    handler: (_request, reply) => void reply.raw.writeHead(302, { location: 'http://10.0.0.1/v1' }).end(),
  },
];

/** Starts the upstream of a fault; one that nobody answers has none. */
export async function startFaulty({ handler, baseUrl }: Fault) {
  const upstream = await startUpstream(handler);
  return { upstream, baseUrl: baseUrl ?? upstream.url };
}
