import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import type { AskedHookOptions } from '../../schemas/imodel.ts';
import type { NatsBus } from '../../src/bus/nats.ts';
import { IModelError } from '../../src/errors.ts';
import { iModel } from '../../src/imodel.ts';
import { connect } from '../../src/runtime/remote/remote-model.ts';
import { connectTestBus, uniqueId } from './connect-test-bus.ts';
import { hostileBody, hostileHeaders } from './hostile.ts';
import { until } from './private-server.ts';
import { buses, serveScripted } from './served-model.ts';
import { TextClient } from './text-client.ts';

const open = buses.nats as NonNullable<(typeof buses)[string]>;
/** What somebody else says. */
interface Answer {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>> | undefined;
}

const answer: fc.Arbitrary<Answer> = fc.record({ body: hostileBody, headers: hostileHeaders });
const answers = fc.array(answer, { minLength: 1, maxLength: 12 });
const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);

let client: TextClient;
let bus: NatsBus;
beforeAll(() => {
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
});
afterAll(() => {
  process.off('unhandledRejection', note);
  process.off('uncaughtException', note);
});
beforeEach(async () => {
  client = await TextClient.connect(inject('natsUrl'));
  bus = await connectTestBus();
});
afterEach(async () => {
  client.close();
  await bus.close();
  expect(unhandled).toEqual([]);
});

/** How something ended, which is by itself and with nothing but a failure of ours. */
async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'fine';
  } catch (error) {
    if (!IModelError.is(error)) throw error;
    return error.code;
  }
}

async function readAll(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _chunk of stream);
}

/** Answers every request below a pattern with what is given, in turns; what a stream's reader is sent as a sign of life is no request. */
function answering(pattern: string): (given: readonly Answer[]) => void {
  let given: readonly Answer[] = [];
  let count = 0;
  client.subscribe(pattern, ({ subject, replyTo }) => {
    const one = given[count++ % given.length];
    if (one === undefined || replyTo === undefined || subject.includes('.chunks.')) return;
    client.publish(replyTo, one.body, one);
  });
  return (answers) => {
    [given, count] = [answers, 0];
  };
}

it('a host that answers anything at all costs its callers a typed failure and no more', async () => {
  const id = uniqueId();
  const give = answering(`imodel.${id}.>`);
  await client.flush();
  const model = connect(bus).model(id);
  await fc.assert(
    fc.asyncProperty(answers, async (given) => {
      give(given);
      const works = [
        model.invoke({ messages: [] }, { timeoutMs: 500 }),
        model.cancel('live'),
        model.state(),
        model.snapshot(),
        model.control({ action: 'pause' }),
        readAll(model.stream({ messages: [] }, { idleTimeoutMs: 100, timeoutMs: 300 })),
      ];
      expect(await Promise.all(works.map(outcome))).not.toContain('internal');
    }),
    { numRuns: 40 },
  );
}, 60_000);

it('an endpoint elsewhere that answers and publishes anything at all fails its calls, and the next is run', async () => {
  const endpointName = uniqueId();
  const give = answering(`endpoint.${endpointName}.>`);
  let said: readonly Answer[] = [];
  client.subscribe(`endpoint.${endpointName}.call`, ({ body }) => {
    const { call_id: callId } = JSON.parse(body.toString());
    const subject = `endpoint.${endpointName}.out.${callId}`;
    for (const one of said) client.publish(subject, one.body, one);
    // Sooner or later what comes is plain nonsense.
    client.publish(subject, '{');
  });
  await client.flush();
  const model = new iModel({ endpoint: 'remote', provider: 'scripted', endpointName, bus, retry: null });
  await fc.assert(
    fc.asyncProperty(answers, answers, async (answered, published) => {
      give(answered);
      said = published;
      const invoked = await model.invoke({ messages: [] });
      expect([invoked.status, invoked.failure?.code]).not.toContain('internal');
      expect(invoked.status).toBe('failed');
      expect(await outcome(readAll(model.stream({ messages: [] })))).not.toBe('fine');
    }),
    { numRuns: 60 },
  );
  expect(model.state).toMatchObject({ running: 0, queue: { waiting: 0 } });
  await model.close();
}, 60_000);

it('interceptors that answer anything at all end no call twice and none without an outcome', async () => {
  for (const onFailure of ['open', 'closed'] as const) {
    const hooks: AskedHookOptions[] = [
      { point: 'pre_event_create', onFailure, timeoutMs: 1_000 },
      { point: 'pre_invocation', onFailure, timeoutMs: 1_000 },
      { point: 'post_invocation', onFailure, timeoutMs: 1_000 },
      { point: 'chunk', onFailure, timeoutMs: 1_000 },
    ];
    await using asking = await serveScripted(open, { text: 'one two' }, { hooks });
    const give = answering(`imodel.${asking.id}.hooks.>`);
    await client.flush();
    await fc.assert(
      fc.asyncProperty(answers, async (given) => {
        give(given);
        const outcomes = await Promise.all([
          outcome(asking.remote.invoke({ messages: [] }, { timeoutMs: 10_000 })),
          outcome(readAll(asking.remote.stream({ messages: [] }, { timeoutMs: 10_000 }))),
        ]);
        expect(outcomes.filter((code) => code === 'internal' || code === 'timed_out')).toEqual([]);
      }),
      { numRuns: 30 },
    );
    give([]);
    client.close();
    client = await TextClient.connect(inject('natsUrl'));
    await until(() => asking.model.state.running === 0 && asking.model.state.queue.waiting === 0);
  }
}, 60_000);

it('those who publish events that are none disturb no observer', async () => {
  await using served = await serveScripted(open);
  const heard: string[] = [];
  served.remote.events(({ type }) => void heard.push(type));
  await served.caller.flush();
  for (const { body, headers } of fc.sample(answer, { numRuns: 300, seed: 3 })) {
    client.publish(`imodel.${served.id}.events.created`, body, { headers });
  }
  await client.flush();
  await served.remote.invoke({ messages: [] });
  await until(() => heard.includes('post_invocation'));
  expect(heard).toEqual(['created', 'pre_invocation', 'answered', 'post_invocation']);
});
