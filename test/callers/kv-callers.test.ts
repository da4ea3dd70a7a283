import { Kvm } from '@nats-io/kv';
import OpenAI from 'openai';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { CallerConfig } from '../../schemas/caller.ts';
import type { NatsBus } from '../../src/bus/nats.ts';
import { connectNats } from '../../src/bus/nats.ts';
import { createKey, hashKey } from '../../src/callers/key.ts';
import { KvCallers } from '../../src/callers/kv-callers.ts';
import { startGateway } from '../../src/gateway/gateway.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';
import { startServer } from '../integration/private-server.ts';

const echo = { m: { model: 'scripted/echo' } };

/** A bucket that is gone when the test is over. */
async function openBucket(): Promise<{ bus: NatsBus; bucket: string; kept: KvCallers }> {
  const bus = await connectTestBus();
  const bucket = uniqueId();
  const kept = await KvCallers.open(bus, bucket);
  onTestFinished(async () => {
    await (await new Kvm(bus.connection).open(bucket)).destroy();
    await bus.close();
  });
  return { bus, bucket, kept };
}

async function openKept(bus: NatsBus, bucket: string, callers: Record<string, CallerConfig> = {}) {
  const faults: unknown[] = [];
  const runtime = await createRuntime({ models: echo }, { bus, env: {} });
  const config = { port: 0, callers, callersFrom: `kv:${bucket}` };
  const gateway = await startGateway(runtime, config, { onError: (error) => faults.push(error) });
  onTestFinished(async () => {
    await gateway.close();
    await runtime.close();
  });
  const status = async (key: string): Promise<number> =>
    (await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).status;
  return { gateway, status, faults };
}

describe('callers in a bucket', () => {
  it('are let in and refused as the bucket says, without a restart, within a second', async () => {
    const { bus, bucket, kept } = await openBucket();
    const [first, second] = [createKey(), createKey()];
    await kept.add('first', { keyHashes: [hashKey(first)], models: ['m'] });
    const { status, gateway } = await openKept(bus, bucket);
    expect([await status(first), await status(second)]).toEqual([200, 401]);
    const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: first, maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: 'hi' }];
    expect((await openai.chat.completions.create({ model: 'm', messages })).choices[0]?.message.content).toBe('hi');

    await kept.add('second', { keyHashes: [hashKey(second)] });
    await expect.poll(() => status(second), { timeout: 1_000, interval: 20 }).toBe(200);
    await expect(kept.add('second', { keyHashes: [hashKey(first)] })).rejects.toMatchObject({ code: 'conflict' });
    expect([...(await kept.list()).keys()].sort()).toEqual(['first', 'second']);

    expect([await kept.remove('first'), await kept.remove('first')]).toEqual([true, false]);
    await expect.poll(() => status(first), { timeout: 1_000, interval: 20 }).toBe(401);
    expect(await status(second)).toBe(200);
    await kept.add('first', { keyHashes: [hashKey(first)] });
    await expect.poll(() => status(first), { timeout: 1_000, interval: 20 }).toBe(200);
  });

  it('count as configured while there are none, stand beside those of the file, and yield to them', async () => {
    const { bus, bucket, kept } = await openBucket();
    const [written, other] = [createKey(), createKey()];
    const { status, gateway } = await openKept(bus, bucket, { ci: { keyHashes: [hashKey(written)] } });
    expect([await status(written), (await fetch(`${gateway.url}/v1/models`)).status]).toEqual([200, 401]);
    await kept.add('ci', { keyHashes: [hashKey(other)] });
    await kept.add('op', { keyHashes: [hashKey(other)], operator: true });
    await expect.poll(() => status(other), { timeout: 1_000, interval: 20 }).toBe(200);
    expect(await status(written)).toBe(200);
    gateway.reload({ port: 0, callersFrom: `kv:${bucket}` });
    await expect.poll(() => status(written)).toBe(401);
    expect(await status(other)).toBe(200);
  });

  it('that cannot be read are nobody’s, and the others’ keys are good', async () => {
    const { bus, bucket, kept } = await openBucket();
    const key = createKey();
    const kv = await new Kvm(bus.connection).open(bucket);
    await kv.put('broken', '{');
    await kv.put('strange', JSON.stringify({ key_hashes: [key] }));
    await kv.put('a.b', JSON.stringify({ key_hashes: [hashKey(key)] }));
    await kept.add('good', { keyHashes: [hashKey(key)] });
    const { status, faults } = await openKept(bus, bucket);
    expect(await status(key)).toBe(200);
    expect(faults).toHaveLength(3);
    expect(faults.map((fault) => (fault as Error).message).join('\n')).not.toContain(key);
  });

  it('are what they are after the server has been away', async () => {
    const server = await startServer();
    const bus = await connectNats({ servers: server.url });
    onTestFinished(async () => {
      await bus.close();
      await server.stop();
    });
    const bucket = uniqueId();
    const kept = await KvCallers.open(bus, bucket);
    const [gone, stays] = [createKey(), createKey()];
    await kept.add('gone', { keyHashes: [hashKey(gone)] });
    await kept.add('stays', { keyHashes: [hashKey(stays)] });
    const { status } = await openKept(bus, bucket);
    expect([await status(gone), await status(stays)]).toEqual([200, 200]);
    await server.kill();
    await server.start();
    expect(await status(stays)).toBe(200);
    const other = await connectNats({ servers: server.url });
    await (await KvCallers.open(other, bucket)).remove('gone');
    await expect.poll(() => status(gone), { timeout: 10_000, interval: 50 }).toBe(401);
    expect(await status(stays)).toBe(200);
    await other.close();
  });

  it('are those of a bucket that was made anew in its place', async () => {
    const { bus, bucket, kept } = await openBucket();
    const [before, after] = [createKey(), createKey()];
    await kept.add('one', { keyHashes: [hashKey(after)] });
    await kept.remove('one');
    await kept.add('one', { keyHashes: [hashKey(before)] });
    let seen: ReadonlyMap<string, CallerConfig> = new Map();
    const hash = () => seen.get('one')?.keyHashes[0];
    const changed = (callers: ReadonlyMap<string, CallerConfig>): void => {
      seen = callers;
    };
    await kept.watch({ changed, failed: () => {} }, 100);
    onTestFinished(() => kept.close());
    expect(hash()).toBe(hashKey(before));
    await (await new Kvm(bus.connection).open(bucket)).destroy();
    const anew = await KvCallers.open(bus, bucket);
    await anew.add('one', { keyHashes: [hashKey(after)] });
    await expect.poll(hash, { timeout: 10_000 }).toBe(hashKey(after));
    await anew.add('two', { keyHashes: [hashKey(before)] });
    await expect.poll(() => seen.has('two'), { timeout: 10_000 }).toBe(true);
  });

  it('need a server', async () => {
    const runtime = await createRuntime({ models: echo }, { env: {} });
    onTestFinished(() => runtime.close());
    await expect(startGateway(runtime, { port: 0, callersFrom: 'kv' })).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('`nats` beside `callers_from: kv`'),
    });
  });
});
