import { request as httpRequest, type IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { openGateway, until } from './open-gateway.ts';

const messages = [{ role: 'user', content: 'hello' }];
const shapes = {
  '/v1/chat/completions': { model: 'm', messages, stream: true },
  '/v1/messages': { model: 'm', messages, max_tokens: 10, stream: true },
  '/v1/responses': { model: 'm', input: 'hello', stream: true },
} as const;

interface Event {
  readonly id: number;
  readonly data: string;
}

/** Opens a stream over a connection of its own. */
function open(
  url: string,
  body: object | null,
  headers: Readonly<Record<string, string>> = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const method = body === null ? 'GET' : 'POST';
    const type = body === null ? {} : { 'content-type': 'application/json' };
    const request = httpRequest(url, { method, agent: false, headers: { ...type, ...headers } }, resolve);
    request.once('error', reject);
    request.end(body === null ? undefined : JSON.stringify(body));
  });
}

/** Reads whole events, and cuts the connection once there are so many. */
async function readEvents(answer: IncomingMessage, enough = Number.POSITIVE_INFINITY): Promise<Event[]> {
  const events: Event[] = [];
  let text = '';
  answer.setEncoding('utf8');
  try {
    for await (const piece of answer) {
      text += piece;
      for (let end = text.indexOf('\n\n'); end >= 0 && events.length < enough; end = text.indexOf('\n\n')) {
        const event = text.slice(0, end);
        text = text.slice(end + 2);
        if (event.startsWith(':')) continue;
        const [, id] = /^id: (\d+)$/m.exec(event) ?? [];
        const [, data = ''] = /^data: (.*)$/m.exec(event) ?? [];
        events.push({ id: Number(id), data });
      }
      if (events.length >= enough) break;
    }
  } catch {
    // Cut by the other side.
  }
  answer.destroy();
  return events;
}

function idsOf(events: readonly Event[]): number[] {
  return events.map(({ id }) => id);
}

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_value, index) => index + 1);
}

function textOf(events: readonly Event[]): string {
  return events
    .map(({ data }) => (data.startsWith('{') ? (JSON.parse(data).choices?.[0]?.delta.content ?? '') : ''))
    .join('');
}

const keep = { 'imodel-resume-ms': '20000', 'imodel-call': 'mine' };
const again = '/v1/imodels/m/calls/mine/stream';
const chat = '/v1/chat/completions';

describe('every event of a stream has an id', () => {
  it.each(Object.entries(shapes))('%s', async (path, body) => {
    const { url } = await openGateway({ m: { model: 'scripted/echo', text: 'one two three' } });
    const events = await readEvents(await open(url + path, body));
    expect(events.length).toBeGreaterThan(4);
    expect(idsOf(events)).toEqual(upTo(events.length));
  });
});

describe('a reader whose connection breaks', () => {
  it.each(Object.entries(shapes))(
    'misses nothing and gets nothing twice when it comes back: %s',
    async (path, body) => {
      const script = { model: 'scripted/echo', text: 'word '.repeat(60), chunks: 60, chunkDelayMs: 2 };
      const { url, runtime } = await openGateway({ m: script });
      const first = await open(url + path, body, keep);
      expect(first.headers['imodel-resume']).toBe(again);
      const seen = await readEvents(first, 3);
      for (let round = 0; ; round += 1) {
        const answer = await open(url + again, null, { 'last-event-id': String(seen.at(-1)?.id) });
        expect(answer.statusCode).toBe(200);
        const events = await readEvents(answer, round < 6 ? 5 + round : Number.POSITIVE_INFINITY);
        seen.push(...events);
        if (round >= 6) break;
      }
      expect(idsOf(seen)).toEqual(upTo(seen.length));
      // All of it again, from its beginning: the same.
      expect(await readEvents(await open(url + again, null))).toEqual(seen);
      expect(
        seen
          .map(({ data }) => data)
          .join('')
          .match(/"word /g)?.length,
      ).toBeGreaterThanOrEqual(60);
      expect(runtime.models.get('m')?.state.counters).toMatchObject({ submitted: 1, completed: 1 });
    },
  );

  it('has its call held back while it is away, and gets all of a long answer', async () => {
    const script = { model: 'scripted/echo', text: 'word '.repeat(100_000), chunks: 5_000 };
    const { url, runtime } = await openGateway({ m: script });
    const seen = await readEvents(await open(url + chat, shapes[chat], keep), 1);
    seen.push(...(await readEvents(await open(url + again, null, { 'last-event-id': '1' }), 20)));
    seen.push(...(await readEvents(await open(url + again, null, { 'last-event-id': String(seen.length) }))));
    expect(idsOf(seen)).toEqual(upTo(seen.length));
    expect(textOf(seen)).toBe('word '.repeat(100_000));
    expect(runtime.models.get('m')?.state.counters).toMatchObject({ submitted: 1, completed: 1 });
  });

  it('is refused what was sent too long ago', async () => {
    const { url, runtime } = await openGateway({
      m: { model: 'scripted/echo', text: 'x'.repeat(20_000_000), chunks: 2_000 },
    });
    await readEvents(await open(url + chat, shapes[chat], keep), 1);
    // With nobody to read it the call gets no further than what is kept.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(runtime.models.get('m')?.state.running).toBe(1);
    const rest = await open(url + again, null);
    expect((await readEvents(rest)).length).toBe(2_003);
    const gone = await open(url + again, null, { 'last-event-id': '1' });
    expect(gone.statusCode).toBe(410);
    expect(JSON.parse((await gone.toArray()).join('')).error).toMatchObject({ code: 'events_gone' });
  });

  it('is replaced by the one that comes back, though its connection looks alive', async () => {
    const { url } = await openGateway({ m: { model: 'scripted/echo', text: 'a b c d e f', chunkDelayMs: 20 } });
    const first = await open(url + chat, shapes[chat], keep);
    const read = readEvents(first);
    const second = await readEvents(await open(url + again, null));
    expect((await read).length).toBeLessThan(second.length);
    expect(textOf(second)).toBe('a b c d e f');
  });

  it('learns of a failure that came before the first event by its status', async () => {
    const script = { model: 'scripted/echo', delayMs: 50, failures: ['rejected'], retry: null };
    const { url } = await openGateway({ m: script });
    const request = httpRequest(url + chat, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json', ...keep },
    });
    request.on('error', () => {});
    request.end(JSON.stringify(shapes[chat]));
    let answer = await open(url + again, null);
    while (answer.statusCode === 404) answer = await open(url + again, null);
    expect(answer.statusCode).toBe(400);
    request.destroy();
  });

  it('loses its call when it does not come back in time', async () => {
    const { url, runtime } = await openGateway({ m: { model: 'scripted/echo', text: 'a b', chunkDelayMs: 60_000 } });
    await readEvents(await open(url + chat, shapes[chat], { ...keep, 'imodel-resume-ms': '60' }), 1);
    const state = () => runtime.models.get('m')?.state;
    await until(() => state()?.counters.cancelled === 1);
    expect(state()).toMatchObject({ running: 0 });
    expect((await open(url + again, null, { 'last-event-id': '1' })).statusCode).toBe(404);
  });

  it('loses its call at once when it did not ask for more', async () => {
    const { url, runtime } = await openGateway({ m: { model: 'scripted/echo', text: 'a b', chunkDelayMs: 60_000 } });
    const answer = await open(url + chat, shapes[chat], { 'imodel-call': 'mine' });
    const read = readEvents(answer);
    await until(() => runtime.models.get('m')?.state.running === 1);
    const refused = await open(url + again, null, { 'last-event-id': '1' });
    expect([refused.statusCode, JSON.parse((await refused.toArray()).join('')).error.code]).toEqual([409, 'not_kept']);
    answer.destroy();
    await read;
    await until(() => runtime.models.get('m')?.state.counters.cancelled === 1);
  });
});

describe('whoever asks for a stream that is not there', () => {
  it('is told what is wrong', async () => {
    const { url, post } = await openGateway({ m: { model: 'scripted/echo' } });
    await readEvents(await open(url + chat, shapes[chat], keep));
    const refusal = async (path: string, headers: Readonly<Record<string, string>>) => {
      const answer = await open(url + path, null, headers);
      const { error } = JSON.parse((await answer.toArray()).join('')) as { error: Record<string, unknown> };
      return [answer.statusCode, error.code, error.param];
    };
    expect(await refusal(again, { 'last-event-id': 'x' })).toEqual([400, 'invalid_request', 'last-event-id']);
    expect(await refusal(again, { 'last-event-id': '99' })).toEqual([400, 'unknown_event', 'last-event-id']);
    expect(await refusal('/v1/imodels/m/calls/other/stream', {})).toEqual([404, 'stream_not_found', null]);
    expect(await refusal('/v1/imodels/n/calls/mine/stream', {})).toEqual([404, 'stream_not_found', null]);
    for (const value of ['soon', '0', '-1', '1e9']) {
      const refused = await post(chat, shapes[chat], { 'imodel-resume-ms': value });
      expect(await refused.json()).toMatchObject({ error: { param: 'imodel-resume-ms' } });
    }
  });

  it('gets no stream from a gateway that has closed, and leaves no call behind', async () => {
    const { url, gateway, runtime } = await openGateway({
      m: { model: 'scripted/echo', text: 'a b', chunkDelayMs: 60_000 },
    });
    await readEvents(await open(url + chat, shapes[chat], keep), 1);
    await gateway.close();
    await until(() => runtime.models.get('m')?.state.counters.cancelled === 1);
  });
});
