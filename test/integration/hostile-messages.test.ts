import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import { wireCall } from '../../schemas/call.ts';
import { endpointAccepted, endpointReplay } from '../../schemas/endpoint.ts';
import { modelDict } from '../../schemas/snapshot.ts';
import { modelState } from '../../schemas/state.ts';
import { cancelReply, failureReply, resumeReply, streamReply } from '../../schemas/wire.ts';
import { subjects } from '../../src/bus/subjects.ts';
import { iModel } from '../../src/imodel.ts';
import { type ServedEndpoint, serveEndpoint } from '../../src/runtime/serving/serve-endpoint.ts';
import { hostileBody, hostileHeaders } from './hostile.ts';
import { until } from './private-server.ts';
import { buses, type Served, serveScripted } from './served-model.ts';
import { TextClient, type TextMessage } from './text-client.ts';
import { WatchedEndpoint } from './watched-endpoint.ts';

const packr = new Packr({ useRecords: false });
const open = buses.nats as NonNullable<(typeof buses)[string]>;

let served: Served;
let servedEndpoint: ServedEndpoint;
/** What its calls are run by is served beside it, under the same name. */
let far: iModel;
let client: TextClient;
const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);

beforeAll(async () => {
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
  served = await serveScripted(open, { text: 'fine' }, { concurrencyLimit: 4 });
  servedEndpoint = serveEndpoint(new WatchedEndpoint(), served.id, served.host);
  await served.host.flush();
  const { caller: bus, id: endpointName } = served;
  far = new iModel({ endpoint: 'remote', provider: 'scripted', endpointName, bus, retry: null });
  client = await TextClient.connect(inject('natsUrl'));
});
afterAll(async () => {
  process.off('unhandledRejection', note);
  process.off('uncaughtException', note);
  client.close();
  await far.close();
  await servedEndpoint.close();
  await served[Symbol.asyncDispose]();
});

const verbs = ['invoke', 'stream', 'cancel', 'ctl', 'resume', 'state', 'snapshot', 'control'] as const;
const places = [...verbs, 'endpoint.call', 'endpoint.cancel', 'endpoint.ctl', '$SRV.INFO', '$SRV.STATS'] as const;
type Place = (typeof places)[number];

/** One hostile message. */
interface Hostile {
  readonly place: Place;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>> | undefined;
}

const hostile: fc.Arbitrary<Hostile> = fc.record({
  place: fc.constantFrom(...places),
  body: hostileBody,
  headers: hostileHeaders,
});

/** Where nobody answers for a call that nobody holds, or to what needs no answer. */
const maySilence: ReadonlySet<Place> = new Set(['resume', 'ctl', 'endpoint.cancel', 'endpoint.ctl']);

function subjectOf(place: Place): string {
  switch (place) {
    case 'ctl':
      return subjects.ctl(served.id, served.served.node);
    case 'endpoint.call':
      return subjects.endpointCall(served.id);
    case 'endpoint.cancel':
      return subjects.endpointCancel(served.id);
    case 'endpoint.ctl':
      return subjects.endpointCtl(served.id, servedEndpoint.node);
    case '$SRV.INFO':
    case '$SRV.STATS':
      return `${place}.imodel`;
    default:
      return `imodel.${served.id}.${place}`;
  }
}

/** Reads a reply as its sender's encoding says. */
function read({ body: bytes }: TextMessage): unknown {
  return bytes[0] === 0x7b ? JSON.parse(bytes.toString()) : packr.unpack(bytes);
}

const others = [
  modelDict,
  endpointAccepted,
  endpointReplay,
  z.object({ type: z.string().startsWith('io.nats.micro') }),
];

/** Everything that an iModel, or an endpoint elsewhere, may ever answer. */
function expectTyped(reply: unknown): void {
  const known = [failureReply, wireCall, streamReply, cancelReply, resumeReply, modelState, ...others];
  if (known.some((schema) => schema.safeParse(reply).success)) return;
  expect.fail(`an untyped reply: ${JSON.stringify(reply)?.slice(0, 300)}`);
}

async function expectServes(): Promise<void> {
  const reply = await client.request(subjectOf('invoke'), '{"messages":[{"role":"user","content":"x"}],"text":"fine"}');
  expect(wireCall.parse(read(reply)).text).toBe('fine');
  expect((await far.invoke({ text: 'far' })).text).toBe('far');
  expect(unhandled).toEqual([]);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
}

describe('an iModel that is sent anything at all', () => {
  it('answers each request with something typed, and serves right after', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 25 }), async (messages) => {
        await Promise.all(
          messages.map(async ({ place, body, headers }) => {
            const isSilent = maySilence.has(place);
            const reply = client.request(subjectOf(place), body, headers, isSilent ? 150 : 10_000);
            const answered = await (isSilent ? reply.catch(() => null) : reply);
            if (answered !== null) expectTyped(read(answered));
          }),
        );
        await expectServes();
      }),
      { numRuns: 150 },
    );
    await until(() => served.model.state.running === 0 && served.model.state.queue.waiting === 0);
    expect(client.errors).toEqual([]);
  }, 60_000);

  it('takes the same without a reply subject, and reports it', async () => {
    const reported: unknown[] = [];
    const stop = served.remote.events((event) => {
      if (event.type === 'malformed') reported.push(event.failure);
    });
    await served.caller.flush();
    for (const { place, ...message } of fc.sample(hostile, { numRuns: 500, seed: 7 })) {
      client.publish(subjectOf(place), message.body, { headers: message.headers });
    }
    await client.flush();
    await expectServes();
    expect(reported.length).toBeGreaterThan(100);
    stop();
  });

  it('holds nothing of all that afterwards', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc');
    const heap = (): number => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const messages = fc.sample(hostile, { numRuns: 300, seed: 11 });
    const flood = async (): Promise<void> => {
      for (const { place, ...message } of messages) {
        client.publish(subjectOf(place), message.body, { headers: message.headers, replyTo: 'nowhere' });
      }
      await client.flush();
      await expectServes();
    };
    await flood();
    const before = heap();
    for (let round = 0; round < 10; round += 1) await flood();
    await until(() => served.model.state.running === 0 && served.model.state.queue.waiting === 0);
    expect(heap() - before).toBeLessThan(20_000_000);
  }, 60_000);

  it('takes bodies of 10 MB on every subject', async () => {
    const text = 'x'.repeat(10_000_000);
    for (const place of places) {
      const sent = [text, { messages: text }, { call_id: text, after_seq: 0, action: text, type: text }];
      const replies = await Promise.all(
        sent.map((value) =>
          served.caller.request(subjectOf(place), value, { timeoutMs: 15_000 }).then((reply) => reply.value()),
        ),
      );
      for (const reply of replies) expectTyped(reply);
    }
    await expectServes();
  }, 60_000);

  it('is not touched by a client that breaks the rules of the server', async () => {
    const rude = await TextClient.connect(inject('natsUrl'));
    rude.publish(subjectOf('invoke'), Buffer.alloc(10_000_000, 0x7b));
    rude.publish(`${subjectOf('invoke')}..`, 'x');
    await until(() => rude.errors.length > 0);
    rude.close();
    await expectServes();
  });

  it('fetches the parts of a body from nowhere but where bodies are', async () => {
    const asked: string[] = [];
    client.subscribe(`secret.${served.id}.>`, ({ subject }) => void asked.push(subject));
    for (const place of [`secret.${served.id}`, `imodel.${served.id}.control`, '$SYS', 'imodel-body', '>', '']) {
      const announced = { 'Imodel-Body': place, 'Imodel-Parts': '2', 'Imodel-Size': '2000000' };
      const reply = await client.request(subjectOf('invoke'), '', announced);
      expectTyped(read(reply));
    }
    expect(asked).toEqual([]);
    await expectServes();
  });
});

describe('a stream on whose subject others publish', () => {
  const chunk = (seq: number): string => JSON.stringify({ seq, kind: 'chunk', type: 'text', content: 'forged' });

  it('is not ended, reordered or repeated by forged numbers that are not its next', async () => {
    const stream = served.remote.stream({ text: 'x', chunks: 60, chunk_delay_ms: 5 });
    const seen: string[] = [];
    for await (const piece of stream) {
      if (piece.type !== 'text') continue;
      seen.push(piece.content ?? '');
      if (seen.length !== 5) continue;
      const subject = subjects.chunks(served.id, stream.callId);
      for (const seq of [1, 2, 0, -3, 5_000, Number.MAX_SAFE_INTEGER]) client.publish(subject, chunk(seq));
      client.publish(subject, '{"kind":"alive","last_seq":9007199254740991}');
      client.publish(subject, '{"kind":"alive","last_seq":"many"}');
    }
    expect(seen).toEqual(Array.from({ length: 60 }, () => 'x'));
    expect(stream.call?.status).toBe('completed');
  });

  it('fails, typed, when what is published there cannot be read', async () => {
    for (const garbage of [
      '{"kind":',
      '[]',
      '17',
      Buffer.from([0xc1]),
      '{"seq":1e400,"kind":"chunk"}',
      'x'.repeat(900_000),
    ]) {
      const stream = served.remote.stream({ text: 'x', chunks: 10_000, chunk_delay_ms: 5 });
      await stream.next();
      client.publish(subjects.chunks(served.id, stream.callId), garbage);
      const read = async (): Promise<void> => {
        for await (const _piece of stream);
      };
      await expect(read()).rejects.toMatchObject({ code: 'malformed' });
    }
    await until(() => served.endpoint.running.size === 0);
    await expectServes();
  });

  it('takes no replies of others', async () => {
    const answer = served.caller.request(subjectOf('invoke'), { text: 'fine', delay_ms: 200 }, { timeoutMs: 10_000 });
    for (const subject of ['_INBOX.x.y', `_INBOX.${'a'.repeat(16)}.${'b'.repeat(10)}`]) {
      for (let count = 0; count < 100; count += 1) client.publish(subject, '{"failure":null}');
    }
    expect(wireCall.parse((await answer).value()).text).toBe('fine');
    await expectServes();
  });
});
