import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { wireCall } from '../../schemas/call.ts';
import { modelState } from '../../schemas/state.ts';
import { cancelReply, failureReply, resumeReply, streamReply } from '../../schemas/wire.ts';
import { subjects } from '../../src/bus/subjects.ts';
import { until } from './private-server.ts';
import { buses, type Served, serveScripted } from './served-model.ts';
import { TextClient, type TextMessage } from './text-client.ts';

const packr = new Packr({ useRecords: false });
const open = buses.nats as NonNullable<(typeof buses)[string]>;

let served: Served;
let client: TextClient;
const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);

beforeAll(async () => {
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
  served = await serveScripted(open, { text: 'fine' }, { concurrencyLimit: 4 });
  client = await TextClient.connect(inject('natsUrl'));
});
afterAll(async () => {
  process.off('unhandledRejection', note);
  process.off('uncaughtException', note);
  client.close();
  await served[Symbol.asyncDispose]();
});

/** One hostile message. */
interface Hostile {
  readonly verb: string;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>> | undefined;
}

const id = fc.oneof(
  fc.constantFrom('', '__proto__', 'constructor', 'live', '..', '*', '>', 'a b', 'x'.repeat(65), '\u0000'),
  fc.string({ maxLength: 80 }),
  fc.integer(),
);
const number = fc.oneof(
  fc.constantFrom(-1, 0.5, 1e308, 2 ** 53, Number.MAX_SAFE_INTEGER, 0, 65_537),
  fc.integer(),
  fc.string({ maxLength: 5 }),
);
/** Nearly right, so that it gets past the first check. */
const nearlyRight = fc.record(
  {
    call_id: id,
    after_seq: number,
    chunks: number,
    type: fc.constantFrom('credit', 'extend', 'cancel', 'grant', '__proto__'),
    action: fc.constantFrom('explode', 'limits', '__proto__', 'toString'),
    limit_requests: number,
    reason: fc.oneof(fc.string(), fc.constant('r'.repeat(2_000)), fc.integer()),
    follow: fc.anything({ maxDepth: 1 }),
    messages: fc.anything({ maxDepth: 2, withBigInt: false }),
    seq: number,
    kind: fc.constantFrom('chunk', 'end', 'alive', 'x'),
    last_seq: number,
  },
  { requiredKeys: [] },
);
const nested = fc.integer({ min: 1, max: 20_000 }).map((depth) => `${'{"a":['.repeat(depth)}1`);
const protoJson = fc.constantFrom(
  '{"__proto__":{"polluted":true},"messages":[]}',
  '{"\\u005f_proto__":{"polluted":true},"call_id":"x"}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"call_id":"__proto__","after_seq":0}',
);
const json = fc.oneof(
  fc.jsonValue().map((value) => JSON.stringify(value)),
  protoJson,
  nested,
);
const packed = fc.oneof(
  nearlyRight.map((value) => packr.pack(value)),
  fc.jsonValue().map((value) => packr.pack(value)),
  fc.integer({ min: 1, max: 20_000 }).map((depth) => Buffer.alloc(depth, 0x91)),
  fc
    .constantFrom(
      [0xdf, 255, 255, 255, 255],
      [0xdd, 127, 255, 255, 255],
      [0xc6, 127, 255, 255, 255],
      [0xc1],
      [0xd4, 0, 0],
    )
    .map((bytes) => Buffer.from(bytes)),
);
const truncated = fc
  .tuple(packed, fc.integer({ min: 0, max: 64 }))
  .map(([bytes, cut]) => Buffer.from(bytes.subarray(0, Math.max(1, bytes.length - cut))));
const body = fc.oneof(
  json.map((text) => Buffer.from(text)),
  nearlyRight.map((value) => Buffer.from(JSON.stringify(value) ?? '')),
  packed.map((bytes) => Buffer.from(bytes)),
  truncated,
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);
const headerValue = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', '0', '-', ' ', '.', '*', '>', '~'), maxLength: 70 }),
  fc.constantFrom('NaN', '1e999', '-0'),
);
const headers = fc.option(
  fc.dictionary(
    fc.constantFrom(
      'Content-Type',
      'Imodel-Call',
      'Imodel-Deadline-Ms',
      'Imodel-Queue-Ms',
      'Imodel-Priority',
      'Imodel-Caller',
      'Imodel-Credit',
      'Imodel-Parts',
      'Imodel-Size',
      'traceparent',
      'Nats-Service-Error-Code',
      '__proto__',
    ),
    headerValue,
    { maxKeys: 4 },
  ),
  { nil: undefined, freq: 2 },
);
const verbs = ['invoke', 'stream', 'cancel', 'ctl', 'resume', 'state', 'control'] as const;
const hostile: fc.Arbitrary<Hostile> = fc.record({ verb: fc.constantFrom(...verbs), body, headers });

const subjectOf = (verb: string): string =>
  verb === 'ctl' ? subjects.ctl(served.id, served.served.node) : `imodel.${served.id}.${verb}`;

/** Reads a reply as its sender's encoding says. */
function read({ body: bytes }: TextMessage): unknown {
  return bytes[0] === 0x7b ? JSON.parse(bytes.toString()) : packr.unpack(bytes);
}

/** Everything that an iModel may ever answer. */
function expectTyped(reply: unknown): void {
  const known = [failureReply, wireCall, streamReply, cancelReply, resumeReply, modelState];
  if (known.some((schema) => schema.safeParse(reply).success)) return;
  expect.fail(`an untyped reply: ${JSON.stringify(reply)?.slice(0, 300)}`);
}

async function expectServes(): Promise<void> {
  const reply = await client.request(subjectOf('invoke'), '{"messages":[{"role":"user","content":"x"}],"text":"fine"}');
  expect(wireCall.parse(read(reply)).text).toBe('fine');
  expect(unhandled).toEqual([]);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
}

describe('an iModel that is sent anything at all', () => {
  it('answers each request with something typed, and serves right after', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 25 }), async (messages) => {
        await Promise.all(
          messages.map(async ({ verb, ...message }) => {
            // Nobody answers for a call that nobody holds, or to a request that asks to be forgotten.
            const maySilence = verb === 'resume' || verb === 'ctl';
            const reply = client.request(subjectOf(verb), message.body, message.headers, maySilence ? 150 : 10_000);
            const answered = await (maySilence ? reply.catch(() => null) : reply);
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
    for (const { verb, ...message } of fc.sample(hostile, { numRuns: 500, seed: 7 })) {
      client.publish(subjectOf(verb), message.body, { headers: message.headers });
    }
    await client.flush();
    await expectServes();
    expect(reported.length).toBeGreaterThan(100);
    stop();
  });

  it('holds nothing of all that afterwards', async () => {
    const heap = (): number => {
      globalThis.gc?.();
      return process.memoryUsage().heapUsed;
    };
    const messages = fc.sample(hostile, { numRuns: 300, seed: 11 });
    const flood = async (): Promise<void> => {
      for (const { verb, ...message } of messages) {
        client.publish(subjectOf(verb), message.body, { headers: message.headers, replyTo: 'nowhere' });
      }
      await client.flush();
      await expectServes();
    };
    await flood();
    const before = heap();
    for (let round = 0; round < 10; round += 1) await flood();
    await until(() => served.model.state.running === 0 && served.model.state.queue.waiting === 0);
    expect(heap() - before).toBeLessThan(60_000_000);
  }, 60_000);

  it('takes bodies of 10 MB on every subject', async () => {
    const text = 'x'.repeat(10_000_000);
    for (const verb of verbs) {
      const sent = [text, { messages: text }, { call_id: text, after_seq: 0, action: text, type: text }];
      const replies = await Promise.all(
        sent.map((value) =>
          served.caller.request(subjectOf(verb), value, { timeoutMs: 15_000 }).then((reply) => reply.value()),
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
