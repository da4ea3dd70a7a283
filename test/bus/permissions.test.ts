import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AskedHookOptions } from '../../schemas/imodel.ts';
import { connectNats, type NatsBus } from '../../src/bus/nats.ts';
import { announceService } from '../../src/bus/service.ts';
import { hostQueue, subjects } from '../../src/bus/subjects.ts';
import { KvCallers } from '../../src/callers/kv-callers.ts';
import { onHook } from '../../src/hooks/on-hook.ts';
import { iModel } from '../../src/imodel.ts';
import { explain } from '../../src/runtime/journal/replay.ts';
import { readJournalStream } from '../../src/runtime/journal-place.ts';
import { connect } from '../../src/runtime/remote/remote-model.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { type PrivateServer, startServer, until } from '../integration/private-server.ts';

/** The prefix of inbox and bodies that each role uses. */
const roles = {
  caller: 'caller',
  observer: 'observer',
  interceptor: 'interceptor',
  host: 'host',
  endpoint_host: 'endpoint',
  operator: 'operator',
} as const;
type Role = keyof typeof roles;

let server: PrivateServer;
const open: NatsBus[] = [];

beforeAll(async () => {
  const text = await readFile(new URL('../../docs/permissions.conf', import.meta.url), 'utf8');
  server = await startServer(text.replaceAll(/\$IMODEL_\w+_PASSWORD/g, 'secret'));
});
afterEach(async () => {
  for (const bus of open.splice(0)) await bus.close();
});
afterAll(() => server.stop());

async function connectAs(role: Role, onError?: (error: unknown, subject: string) => void): Promise<NatsBus> {
  const bus = await connectNats({
    servers: server.url,
    user: role,
    password: 'secret',
    inboxPrefix: `_INBOX_${roles[role]}`,
    bodyPrefix: `imodel-body.${roles[role]}`,
    ...(onError === undefined ? {} : { onError }),
  });
  open.push(bus);
  return bus;
}

/** Every subject of the contract, and some that are nobody's business. */
const contract = {
  invoke: subjects.invoke('gpt'),
  stream: subjects.stream('gpt'),
  chunks: subjects.chunks('gpt', 'c1'),
  cancel: subjects.cancel('gpt'),
  ctl: subjects.ctl('gpt', 'n1'),
  resume: subjects.resume('gpt'),
  submit: subjects.submit('gpt'),
  results: subjects.results('gpt', 'c1'),
  state: subjects.state('gpt'),
  control: subjects.control('gpt'),
  snapshot: subjects.snapshot('gpt'),
  explain: subjects.explain('gpt'),
  events: subjects.events('gpt', 'created'),
  hooks: subjects.hooks('gpt', 'pre_invocation'),
  namedHook: subjects.hooks('gpt', 'chunk', 'guard'),
  call: subjects.endpointCall('gpu'),
  endpointCancel: subjects.endpointCancel('gpu'),
  endpointCtl: subjects.endpointCtl('gpu', 'n1'),
  out: subjects.endpointOut('gpu', 'c1'),
  stats: '$SRV.STATS.gpt',
  ping: '$SRV.PING',
  othersInbox: '_INBOX_somebody.x',
  foreign: 'something.else',
  system: '$SYS.REQ.SERVER.PING',
} as const;
type Subject = keyof typeof contract;

const may: Record<Role, { readonly publish: readonly Subject[]; readonly subscribe: readonly Subject[] }> = {
  caller: {
    publish: ['invoke', 'stream', 'cancel', 'resume', 'ctl', 'submit', 'state', 'ping'],
    subscribe: ['chunks', 'results'],
  },
  observer: { publish: ['state', 'ping', 'stats'], subscribe: ['events'] },
  interceptor: { publish: [], subscribe: ['hooks', 'namedHook'] },
  host: {
    publish: ['chunks', 'events', 'results', 'hooks', 'namedHook', 'call', 'endpointCancel', 'endpointCtl', 'state'],
    subscribe: [
      'invoke',
      'stream',
      'cancel',
      'resume',
      'ctl',
      'submit',
      'state',
      'control',
      'snapshot',
      'explain',
      'out',
      'ping',
      'stats',
    ],
  },
  endpoint_host: { publish: ['out'], subscribe: ['call', 'endpointCancel', 'endpointCtl', 'ping', 'stats'] },
  operator: { publish: ['control', 'cancel', 'state', 'snapshot', 'explain', 'ping', 'stats'], subscribe: ['events'] },
};

it('an interceptor and a host have all they need for a model that asks, with megabytes both ways', async () => {
  const errors: unknown[] = [];
  const on = (error: unknown): void => void errors.push(error);
  const [caller, host, interceptor] = [
    await connectAs('caller', on),
    await connectAs('host', on),
    await connectAs('interceptor', on),
  ];
  const hooks: AskedHookOptions[] = [{ point: 'pre_invocation', name: 'guard' }, { point: 'chunk' }];
  await using model = new iModel({ id: 'asking', model: 'scripted/echo', hooks });
  model.serve(host);
  onHook(interceptor, 'chunk', () => null);
  onHook(
    interceptor,
    'pre_invocation',
    ({ request }) => ({
      action: 'replace',
      request: { text: `${String(request.text).length} ${'b'.repeat(2_000_000)}` },
    }),
    { name: 'guard' },
  );
  await host.flush();
  await interceptor.flush();
  const call = await connect(caller)
    .model('asking')
    .invoke({ text: 'a'.repeat(3_000_000) });
  expect(call.failure).toBeNull();
  expect(call.text).toMatch(/^3000000 b+$/);
  expect(errors).toEqual([]);
});

it('a host keeps states, callers and journals on the server, and an operator reads the journal and makes keys', async () => {
  const errors: unknown[] = [];
  const on = (error: unknown, subject: string): void => void errors.push(`${subject}: ${(error as Error).message}`);
  const [host, operator] = [await connectAs('host', on), await connectAs('operator', on)];
  const config = { models: { kept: { model: 'scripted/echo' } }, state: 'kv', stateInterval: 3_600, journal: 'stream' };
  const callId = 'told';
  for (const _run of [1, 2]) {
    const runtime = await createRuntime(config, { bus: host, onError: on });
    const model = runtime.models.get('kept');
    expect((await model?.invoke({ messages: [{ role: 'user', content: 'hi' }] }, { callId }))?.status).toBe(
      'completed',
    );
    expect(await connect(operator).model('kept').explain(callId)).toMatchObject({ status: 'completed' });
    await runtime.close();
  }
  const { entries } = await readJournalStream(operator, 'imodel-journal', { id: 'kept' });
  expect(explain(entries, callId)).toMatchObject({ status: 'completed', earlier: 1 });
  const made = await KvCallers.open(operator);
  await made.close();
  await (await KvCallers.open(host)).close();
  expect(errors).toEqual([]);
}, 30_000);

describe.each(Object.keys(roles) as Role[])('the role %s', (role) => {
  it.each(['publish', 'subscribe'] as const)('may %s what it needs and nothing else', async (verb) => {
    const refused = new Set<string>();
    const bus = await connectAs(role, (_error, subject) => void refused.add(subject));
    for (const subject of Object.values(contract)) {
      if (verb === 'publish') bus.publish(subject, {});
      else bus.subscribe(subject, () => {});
    }
    await bus.flush();
    // The refusals are on the way before the answer to the flush; a turn of the loop lets them be told.
    await new Promise((resolve) => setImmediate(resolve));
    const allowed = (Object.keys(contract) as Subject[]).filter((name) => !refused.has(contract[name]));
    expect(allowed.sort()).toEqual([...may[role][verb]].sort());
  });

  it('cannot listen to the inboxes or bodies of another', async () => {
    const refused = new Set<string>();
    const bus = await connectAs(role, (_error, subject) => void refused.add(subject));
    const others = Object.values(roles)
      .filter((other) => other !== roles[role])
      .flatMap((other) => [`_INBOX_${other}.>`, `imodel-body.${other}.>`]);
    for (const pattern of [...others, '_INBOX.>', 'imodel-body.>', '>']) bus.subscribe(pattern, () => {});
    await bus.flush();
    await new Promise((resolve) => setImmediate(resolve));
    expect(refused.size).toBe(others.length + 3);
  });
});

it('together they serve a call, with megabytes both ways, hooks, an endpoint elsewhere, chunks and events', async () => {
  const errors: unknown[] = [];
  const on = (error: unknown): void => void errors.push(error);
  const [caller, observer, interceptor] = [
    await connectAs('caller', on),
    await connectAs('observer', on),
    await connectAs('interceptor', on),
  ];
  const [host, endpoint, operator] = [
    await connectAs('host', on),
    await connectAs('endpoint_host', on),
    await connectAs('operator', on),
  ];
  const seen = { events: [] as string[], chunks: [] as unknown[], controls: [] as unknown[] };
  observer.subscribe(subjects.everyEvent(), (message) => void seen.events.push(message.subject));
  interceptor.subscribe(subjects.everyHook(), (message) => message.respond({ pass: true }));
  endpoint.subscribe(subjects.endpointCall('gpu'), (message) =>
    message.respond({ text: (message.value() as { prompt: string }).prompt }),
  );
  host.subscribe(
    subjects.invoke('gpt'),
    async (message) => {
      const hook = await host.request(subjects.hooks('gpt', 'pre_invocation'), message.value(), { timeoutMs: 10_000 });
      const outcome = await host.request(subjects.endpointCall('gpu'), message.value(), { timeoutMs: 10_000 });
      host.publish(subjects.chunks('gpt', 'c1'), { seq: 1 });
      host.publish(subjects.events('gpt', 'post_invocation'), {});
      message.respond({ hook: hook.value(), outcome: outcome.value() });
    },
    { queue: hostQueue },
  );
  host.subscribe(subjects.control('gpt'), (message) => {
    seen.controls.push(message.value());
    message.respond({ ok: true });
  });
  announceService(host, { name: 'gpt', version: '1.0.0', startedAt: 0, endpoints: [] });
  caller.subscribe(subjects.chunks('gpt', 'c1'), (message) => void seen.chunks.push(message.value()));
  await Promise.all(open.map((bus) => bus.flush()));

  const prompt = 'x'.repeat(1_500_000);
  const reply = await caller.request(subjects.invoke('gpt'), { prompt }, { timeoutMs: 20_000 });
  const value = reply.value() as { hook?: unknown; outcome?: { text: string }; error?: unknown };
  expect(value.error).toBeUndefined();
  expect(value.hook).toEqual({ pass: true });
  expect(value.outcome?.text === prompt).toBe(true);
  const control = await operator.request(subjects.control('gpt'), { command: 'pause' }, { timeoutMs: 10_000 });
  expect(control.value()).toEqual({ ok: true });
  expect((await observer.request('$SRV.STATS.gpt', undefined, { timeoutMs: 10_000 })).value()).toMatchObject({
    name: 'gpt',
  });
  await until(() => seen.chunks.length === 1 && seen.events.length === 1, 'chunk and event');
  expect(seen.controls).toEqual([{ command: 'pause' }]);
  expect(errors).toEqual([]);
});

it('one answer in all is what a plain `allow_responses: true` permits, which is why the roles say more', async () => {
  await server.kill();
  await server.configure(`authorization { users = [
    { user: asking, password: p }
    { user: answering, password: p, permissions: { subscribe: ["ask", "_INBOX.>"], allow_responses: true } }
  ] }`);
  await server.start();
  const refused: string[] = [];
  const connect = (user: string): Promise<NatsBus> =>
    connectNats({ servers: server.url, user, password: 'p', onError: (_error, subject) => void refused.push(subject) });
  const [asking, answering] = [await connect('asking'), await connect('answering')];
  open.push(asking, answering);
  answering.subscribe('ask', (message) => {
    message.respond({ n: 1 });
    message.respond({ n: 2 });
  });
  await answering.flush();
  const reply = await asking.request('ask', {}, { timeoutMs: 10_000 });
  expect(reply.value()).toEqual({ n: 1 });
  await until(() => refused.length === 1, 'the refusal of the second answer');
});
