import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kvm } from '@nats-io/kv';
import { afterAll, describe, expect, inject, it, vi } from 'vitest';
import type { LiveState } from '../../../schemas/live-state.ts';
import type { ModelDict } from '../../../schemas/snapshot.ts';
import type { Bus } from '../../../src/bus/bus.ts';
import { createMemoryBus } from '../../../src/bus/memory.ts';
import { connectNats, type NatsBus } from '../../../src/bus/nats.ts';
import { IModelError } from '../../../src/errors.ts';
import { createRuntime, type Runtime } from '../../../src/runtime/runtime.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { uniqueId } from '../../integration/connect-test-bus.ts';
import { startServer } from '../../integration/private-server.ts';

const root = await mkdtemp(join(tmpdir(), 'imodel-states-'));
afterAll(() => rm(root, { recursive: true, force: true }));

interface Place {
  readonly state: string;
  readonly bus: Bus;
  [Symbol.asyncDispose](): Promise<void>;
}

const places = {
  folder: async (): Promise<Place> => {
    const bus = createMemoryBus();
    return { state: await mkdtemp(join(root, 'f')), bus, [Symbol.asyncDispose]: () => bus.close() };
  },
  bucket: async (): Promise<Place> => {
    const bus = await connectNats({ servers: inject('natsUrl') });
    const bucket = uniqueId();
    const close = async (): Promise<void> => {
      await (await new Kvm(bus.connection).open(bucket)).destroy();
      await bus.close();
    };
    return { state: `kv:${bucket}`, bus, [Symbol.asyncDispose]: close };
  },
};

/** One call at a time, each a second long, ten in ten seconds. */
const slow = {
  provider: 'scripted',
  text: 'hello',
  delayMs: 1_000,
  concurrencyLimit: 1,
  limitRequests: 10,
  interval: 10,
  windowMargin: 0,
};

function start(place: Place, id: string, clock: VirtualClock, more: object = {}): Promise<Runtime> {
  return createRuntime({ models: { [id]: slow }, state: place.state, ...more }, { bus: place.bus, clock });
}

/** Asks for calls of these names; what becomes of them is not waited for. */
function ask(runtime: Runtime, id: string, names: readonly string[], text = 'hi'): void {
  const model = runtime.models.get(id);
  for (const callId of names)
    void model?.invoke({ messages: [{ role: 'user', content: text }] }, { callId }).catch(() => {});
}

/** What a process that dies leaves: nothing is written any more, and its calls are gone. */
async function die(runtime: Runtime): Promise<void> {
  for (const model of runtime.models.values()) {
    model.live.reports.recorder = null;
    await model.close();
  }
}

/** Lets time pass until a call is there; a bucket takes real time too. */
async function untilStatus(runtime: Runtime, id: string, callId: string, status: string): Promise<void> {
  const clock = runtime.models.get(id)?.live.clock as VirtualClock;
  await vi.waitFor(
    async () => {
      await clock.advance(50);
      expect(statusOf(runtime, id, callId)).toBe(status);
    },
    { interval: 5, timeout: 5_000 },
  );
}

const statusOf = (runtime: Runtime, id: string, callId: string) => {
  const call = runtime.models.get(id)?.call(callId);
  return call === undefined ? undefined : (call.failure?.code ?? call.status);
};

describe.each(Object.entries(places))('the state of an iModel in a %s', (_kind, open) => {
  it('is written when its runtime closes, and the next one goes on with it', async () => {
    await using place = await open();
    const id = uniqueId();
    const clock = new VirtualClock(1_000_000);
    const first = await start(place, id, clock);
    ask(first, id, ['a', 'b', 'c']);
    await untilStatus(first, id, 'b', 'processing');
    let isClosed = false;
    const closed = first.close({ drain: true }).finally(() => {
      isClosed = true;
    });
    // A call that has begun may still wait for its bucket, which takes real time.
    while (!isClosed) await Promise.all([clock.advance(50), sleep(1)]);
    await closed;
    const second = await start(place, id, new VirtualClock(clock.now()));
    // Two have begun before, and have ended.
    expect(['a', 'b'].map((name) => statusOf(second, id, name))).toEqual([undefined, undefined]);
    expect(second.models.get(id)?.state.budget.requests.used).toBeGreaterThanOrEqual(2);
    await untilStatus(second, id, 'c', 'completed');
    await second.close();
  });

  it('has all that happened since its last snapshot when the process dies', async () => {
    await using place = await open();
    const id = uniqueId();
    const clock = new VirtualClock(1_000_000);
    const first = await start(place, id, clock, { stateInterval: 3_600 });
    ask(first, id, ['a', 'b', 'c', 'd']);
    // The last snapshot has four that wait or run; then one ends and another begins.
    await first.save();
    await untilStatus(first, id, 'b', 'processing');
    await die(first);
    const second = await start(place, id, new VirtualClock(clock.now()));
    expect(['a', 'b'].map((name) => statusOf(second, id, name))).toEqual([undefined, 'interrupted']);
    expect(second.models.get(id)?.state.budget.requests.used).toBeGreaterThanOrEqual(2);
    await untilStatus(second, id, 'c', 'completed');
    await untilStatus(second, id, 'd', 'completed');
    expect(second.models.get(id)?.state.counters.started).toBe(3);
    await second.close();
  });

  it('is written every so often', async () => {
    await using place = await open();
    const id = uniqueId();
    const clock = new VirtualClock(1_000_000);
    const first = await start(place, id, clock, { stateInterval: 2 });
    first.models.get(id)?.pause();
    ask(first, id, ['a']);
    await clock.advance(2_000);
    // Whatever was to be written then is written now.
    await first.save();
    await die(first);
    const second = await start(place, id, new VirtualClock(clock.now()));
    expect(second.models.get(id)?.status).toBe('paused');
    expect(statusOf(second, id, 'a')).toBe('pending');
    await second.close();
  });

  it('may be larger than a message of its bus', async () => {
    await using place = await open();
    const id = uniqueId();
    const clock = new VirtualClock(1_000_000);
    const first = await start(place, id, clock);
    first.models.get(id)?.pause();
    const content = 'x'.repeat(300_000);
    ask(first, id, ['a', 'b', 'c', 'd', 'e'], content);
    await first.close();
    const second = await start(place, id, clock);
    expect(second.models.get(id)?.call('e')?.payload.messages).toEqual([{ role: 'user', content }]);
    await second.close();
  });
});

type LiveDict = ModelDict & { readonly state: LiveState };

async function refusal(promise: Promise<unknown>): Promise<IModelError> {
  const error = await promise.then(
    () => new Error('It was taken'),
    (reason: unknown) => reason,
  );
  if (IModelError.is(error)) return error;
  throw error;
}

/** A folder with the state of an iModel that had two calls when it died, one in the snapshot and one begun since. */
async function keptFolder() {
  const place = await places.folder();
  const id = uniqueId();
  const clock = new VirtualClock(1_000_000);
  const runtime = await start(place, id, clock, { stateInterval: 3_600 });
  ask(runtime, id, ['a', 'b']);
  await runtime.save();
  await untilStatus(runtime, id, 'b', 'processing');
  await die(runtime);
  const names = await readdir(place.state);
  const log = join(place.state, names.find((name) => name.endsWith('.log')) ?? '');
  return { place, id, clock: new VirtualClock(clock.now()), snapshot: join(place.state, `${id}.json`), log };
}

describe('a damaged state', () => {
  it('that was cut off anywhere is refused with the name of the file, and left as it is', async () => {
    const { place, id, clock, snapshot } = await keptFolder();
    const whole = await readFile(snapshot);
    for (let share = 0; share < 1; share += 1 / 20) {
      const part = whole.subarray(0, Math.floor(whole.length * share));
      await writeFile(snapshot, part);
      const error = await refusal(start(place, id, clock));
      expect(error.failure).toMatchObject({ code: 'config' });
      expect(error.message).toContain(snapshot);
      expect(await readFile(snapshot)).toEqual(part);
    }
    await writeFile(snapshot, whole);
    await (await start(place, id, clock)).close();
  });

  it('keeps no trace of a log entry that was cut off, and names one that is none', async () => {
    const { place, id, clock, snapshot, log } = await keptFolder();
    const whole = await readFile(log, 'utf8');
    const before = await readFile(snapshot, 'utf8');
    await writeFile(log, `${whole}{"cheese":1}\n${whole}`);
    const error = await refusal(start(place, id, clock));
    const line = whole.split('\n').length;
    expect(error.message).toContain(`${snapshot}, entry ${line} of its log`);
    expect(error.message).toContain('{"cheese":1}');
    expect(await readFile(snapshot, 'utf8')).toBe(before);
    await writeFile(log, `${whole}{"start":"b","at`);
    const second = await start(place, id, clock);
    expect(['a', 'b'].map((name) => statusOf(second, id, name))).toEqual([undefined, 'interrupted']);
    await second.close();
  });

  const edits: [name: string, edit: (dict: LiveDict) => void, part: string | RegExp][] = [
    ['of a later version', (dict) => Object.assign(dict, { schema_version: 9 }), /schema_version` 9/],
    ['of another iModel', (dict) => Object.assign(dict, { id: 'somebody' }), /got that of somebody/],
    ['with a text for a time', (dict) => Object.assign(dict, { created_at: 'now' }), '`created_at`'],
    ['without calls', ({ state }) => Reflect.deleteProperty(state, 'calls'), '`state.calls`'],
    ['with a time before all times', ({ state }) => Object.assign(state, { saved_at: -1 }), '`state.saved_at`'],
  ];

  it.each(edits)('%s is refused with the name of the file and the path in it', async (_name, edit, part) => {
    const { place, id, clock, snapshot } = await keptFolder();
    const dict = JSON.parse(await readFile(snapshot, 'utf8')) as LiveDict;
    edit(dict);
    const written = JSON.stringify(dict);
    await writeFile(snapshot, written);
    const error = await refusal(start(place, id, clock));
    expect(error.failure.code).toBe('config');
    expect(error.message).toContain(snapshot);
    expect(error.message).toMatch(part);
    expect(await readFile(snapshot, 'utf8')).toBe(written);
  });

  it('does not touch the actor that runs, which writes a good one over it', async () => {
    const { place, id, clock, snapshot } = await keptFolder();
    const second = await start(place, id, clock);
    await writeFile(snapshot, 'rubbish');
    ask(second, id, ['c']);
    await clock.advance(10);
    expect(second.models.get(id)?.state.running).toBe(1);
    await second.save();
    expect(JSON.parse(await readFile(snapshot, 'utf8'))).toMatchObject({ id, state: { calls: [{ id: 'c' }] } });
    await second.close();
  });

  it('is no folder, or has something else where a file should be', async () => {
    const file = join(root, uniqueId());
    await writeFile(file, '');
    const bus = createMemoryBus();
    const models = { a: slow };
    const noFolder = await refusal(createRuntime({ models, state: file }, { bus }));
    expect(noFolder).toMatchObject({ code: 'config', failure: { field: 'state', value: file } });
    const state = await mkdtemp(join(root, 'f'));
    await mkdir(join(state, 'a.json'));
    const noFile = await refusal(createRuntime({ models, state }, { bus }));
    expect(noFile).toMatchObject({ code: 'config', failure: { field: join(state, 'a.json') } });
    await bus.close();
  });

  it('is in a folder that no other process keeps its own in', async () => {
    const state = await mkdtemp(join(root, 'f'));
    const hold = `require('node:net').createServer().listen(${JSON.stringify(join(state, '.in-use'))}, () => console.log('held'))`;
    const other = spawn(process.execPath, ['-e', hold]);
    await once(other.stdout, 'data');
    const models = { a: slow };
    const error = await refusal(createRuntime({ models, state }));
    expect(error).toMatchObject({ code: 'config', failure: { field: 'state' } });
    expect(error.message).toBe(`Cannot keep states in ${state}: another process does so already`);
    other.kill('SIGKILL');
    await once(other, 'exit');
    // What a process that was killed has left keeps nobody out.
    await (await createRuntime({ models, state })).close();
    expect(await readdir(state)).not.toContain('.in-use');
  });

  it('is in a bucket only once: a second host would send the calls of the first again', async () => {
    await using place = await places.bucket();
    const id = uniqueId();
    const clock = new VirtualClock(1_000_000);
    const first = await start(place, id, clock);
    ask(first, id, ['a', 'b']);
    await first.save();
    const bus = await connectNats({ servers: inject('natsUrl') });
    const error = await refusal(start({ ...place, bus }, id, clock));
    expect(error).toMatchObject({ code: 'config', failure: { field: 'state' } });
    expect(error.message).toContain(`no other host of ${id}`);
    await vi.waitFor(
      async () => {
        await clock.advance(50);
        expect(first.models.get(id)?.state.counters).toMatchObject({ started: 2, completed: 2 });
      },
      { interval: 5, timeout: 5_000 },
    );
    await first.close();
    await (await start({ ...place, bus }, id, clock)).close();
    await bus.close();
  });

  it('in a bucket that somebody has deleted goes into a new one', async () => {
    await using place = await places.bucket();
    const id = uniqueId();
    const clock = new VirtualClock(1_000_000);
    const onError = vi.fn();
    const options = { bus: place.bus, clock, onError };
    const first = await createRuntime({ models: { [id]: slow }, state: place.state }, options);
    await (await new Kvm((place.bus as NatsBus).connection).open(place.state.slice(3))).destroy();
    ask(first, id, ['a', 'b']);
    await first.save();
    await die(first);
    const second = await start(place, id, new VirtualClock(clock.now()));
    expect(statusOf(second, id, 'a')).toBe('interrupted');
    await untilStatus(second, id, 'b', 'completed');
    expect(onError).not.toHaveBeenCalled();
    await second.close();
  });

  it('waits for a bucket that does not answer only once, and ends without it', async () => {
    const server = await startServer();
    const bus = await connectNats({ servers: server.url });
    const id = uniqueId();
    const errors: string[] = [];
    const runtime = await createRuntime(
      {
        models: { [id]: { provider: 'scripted', text: 'hi', concurrencyLimit: 1 } },
        state: 'kv',
        stateInterval: 3_600,
      },
      { bus, onError: (error, subject) => errors.push(`${subject}: ${(error as Error).message}`) },
    );
    const model = runtime.models.get(id);
    await server.kill();
    const began = performance.now();
    const messages = [{ role: 'user', content: 'hi' }];
    const calls = await Promise.all([1, 2, 3].map(() => model?.invoke({ messages })));
    expect(calls.map((call) => call?.status)).toEqual(['completed', 'completed', 'completed']);
    expect(performance.now() - began).toBeLessThan(5_500);
    expect(new Set(errors)).toEqual(new Set([`state of ${id}: Its place has not answered within 2000 ms`]));
    const closing = performance.now();
    expect((await refusal(runtime.close({ timeoutMs: 100 }))).code).toBe('unavailable');
    expect(performance.now() - closing).toBeLessThan(14_000);
    await server.start();
    await bus.close();
    await server.stop();
  }, 30_000);

  it('is in no folder where the file system takes none', async () => {
    const error = await refusal(createRuntime({ models: { a: slow }, state: '/proc/imodel/states' }));
    expect(error).toMatchObject({ code: 'config', failure: { field: 'state', value: '/proc/imodel/states' } });
  });

  it('needs a server where it is a bucket', async () => {
    const error = await refusal(createRuntime({ models: { a: slow }, state: 'kv' }));
    expect(error).toMatchObject({ code: 'config', failure: { field: 'state' } });
  });

  it('in a bucket is refused with the name of the key', async () => {
    await using place = await places.bucket();
    const id = uniqueId();
    const clock = new VirtualClock(1_000_000);
    await (await start(place, id, clock)).close();
    const kv = await new Kvm((place.bus as NatsBus).connection).open(place.state.slice(3));
    const head = (await kv.get(id))?.string() ?? '';
    for (const wrong of ['rubbish', '{"generation":1}', head.replace(/"parts":1/, '"parts":2')]) {
      await kv.put(id, wrong);
      const error = await refusal(start(place, id, clock));
      expect(error).toMatchObject({ code: 'config' });
      expect(error.message).toContain(id);
    }
    await kv.put(id, head);
    await (await start(place, id, clock)).close();
  });
});

it('is for its owner’s eyes alone', async () => {
  const { place, snapshot, log } = await keptFolder();
  const modes = await Promise.all([snapshot, log].map(async (path) => (await stat(path)).mode & 0o777));
  expect(modes).toEqual([0o600, 0o600]);
  await place.bus.close();
});
