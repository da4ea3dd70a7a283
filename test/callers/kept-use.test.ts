import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kvm } from '@nats-io/kv';
import { afterAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import type { CallerConfig } from '../../schemas/caller.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { connectNats } from '../../src/bus/nats.ts';
import { createKey, hashKey } from '../../src/callers/key.ts';
import { type Gateway, startGateway } from '../../src/gateway/gateway.ts';
import { createRuntime, type Runtime } from '../../src/runtime/runtime.ts';
import { uniqueId } from '../integration/connect-test-bus.ts';

const root = await mkdtemp(join(tmpdir(), 'imodel-use-'));
afterAll(() => rm(root, { recursive: true, force: true }));

interface Place {
  readonly state: string;
  readonly bus: Bus;
}

async function folder(): Promise<Place> {
  return { state: await mkdtemp(join(root, 'f')), bus: createMemoryBus() };
}

async function bucket(): Promise<Place> {
  const bus = await connectNats({ servers: inject('natsUrl') });
  const name = uniqueId();
  onTestFinished(async () => {
    await (await new Kvm(bus.connection).open(name)).destroy();
    await bus.close();
  });
  return { state: `kv:${name}`, bus };
}

const [key, operatorKey] = [createKey(), createKey()];
const op = { keyHashes: [hashKey(operatorKey)], operator: true };
const ci = { keyHashes: [hashKey(key)], limitRequests: 3, limitTokens: 1_000, limitCostUsd: 5, interval: 3_600 };

/** What a process has whose gateway has callers. */
interface Process {
  readonly runtime: Runtime;
  readonly gateway: Gateway;
  /** @returns The status of the answer. */
  call(): Promise<number>;
  /** What the caller has used: requests, tokens, dollars. */
  used(): Promise<unknown>;
}

async function start(
  { state, bus }: Place,
  callers: Readonly<Record<string, CallerConfig>> = { ci, op },
  { delayMs = 0, id = 'm' } = {},
): Promise<Process> {
  const usage = { inputTokens: 7, outputTokens: 3 };
  const prices = { echo: { inputUsdPerMillion: 100_000, outputUsdPerMillion: 100_000 } };
  const m = { model: 'scripted/echo', usage, prices, delayMs };
  const runtime = await createRuntime({ models: { [id]: m }, state }, { bus, env: {} });
  onTestFinished(() => runtime.close());
  const gateway = await startGateway(runtime, { port: 0, queueTimeout: 1, callers });
  onTestFinished(() => gateway.close());
  const messages = [{ role: 'user', content: 'hello' }];
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  return {
    runtime,
    gateway,
    call: async () => {
      const request = { method: 'POST', headers, body: JSON.stringify({ model: 'm', messages, max_tokens: 5 }) };
      return (await fetch(`${gateway.url}/v1/chat/completions`, request)).status;
    },
    used: async () => {
      const answer = await fetch(`${gateway.url}/v1/callers`, { headers: { authorization: `Bearer ${operatorKey}` } });
      const { data } = (await answer.json()) as { data: Record<string, { used: number }>[] };
      const found = data.find(({ name }) => String(name) === 'ci');
      return [found?.requests?.used, found?.tokens?.used, found?.cost_usd?.used];
    },
  };
}

describe.each([
  ['folder', folder],
  ['bucket', bucket],
] as const)('what callers have used, with a state in a %s', (_name, open) => {
  it('is used in the next process too, whose gateway closes before or after its runtime', async () => {
    const place = await open();
    const first = await start(place);
    expect([await first.call(), await first.call()]).toEqual([200, 200]);
    expect(await first.used()).toEqual([2, 20, 2]);
    await first.gateway.close();
    await first.runtime.close();
    const second = await start(place);
    expect(await second.used()).toEqual([2, 20, 2]);
    expect([await second.call(), await second.call()]).toEqual([200, 429]);
    await second.runtime.close();
    await second.gateway.close();
    const third = await start(place);
    expect(await third.used()).toEqual([3, 30, 3]);
    expect(await third.call()).toBe(429);
  });

  it('is kept while a process runs, with what its running calls may use', async () => {
    const place = await open();
    const first = await start(place, { ci, op }, { delayMs: 60_000 });
    const running = first.call();
    await expect.poll(() => first.runtime.models.get('m')?.state.running).toBe(1);
    const held = (await first.used()) as number[];
    expect(held[1]).toBeGreaterThan(0);
    await first.runtime.save();
    // As if the process had been killed: nothing of what comes now is read.
    const copy = await copyOf(place);
    // In a bucket nobody may go on with an iModel that another process still has.
    const second = await start(copy, { ci, op }, { id: 'other' });
    expect(await second.used()).toEqual(held);
    await first.runtime.close();
    expect(await running).toBe(503);
  });

  it('waits for a caller that comes back', async () => {
    const place = await open();
    const first = await start(place);
    await first.call();
    await first.gateway.close();
    await first.runtime.close();
    const second = await start(place, { op });
    expect(await second.used()).toEqual([undefined, undefined, undefined]);
    await second.gateway.close();
    await second.runtime.close();
    const third = await start(place, { op });
    third.gateway.reload({ callers: { ci, op } });
    expect(await third.used()).toEqual([1, 10, 1]);
  });
});

it('what callers have used is not guessed where it cannot be read', async () => {
  const place = await folder();
  const first = await start(place);
  await first.call();
  await first.gateway.close();
  await first.runtime.close();
  const path = join(place.state, 'gateway.callers.json');
  const text = await readFile(path, 'utf8');
  expect(text).not.toContain(hashKey(key));
  for (const [damaged, path_] of [
    [text.slice(0, -9), path],
    [text.replace('"used":[[', '"used":[["soon",'), `${path}: ci.requests.used.0`],
    ['{"schema_version":2,"state":{"of":{}}}', path],
  ] as const) {
    await writeFile(path, damaged);
    await expect(start(place)).rejects.toMatchObject({ code: 'config', failure: { field: path_ } });
  }
  expect(await readdir(place.state)).toContain('gateway.callers.json');
});

/** A folder as it is now; a bucket is read by whoever comes, whatever it holds later. */
async function copyOf({ state, bus }: Place): Promise<Place> {
  if (state.startsWith('kv:')) return { state, bus };
  const copy = await mkdtemp(join(root, 'c'));
  for (const entry of await readdir(state, { withFileTypes: true })) {
    if (entry.isFile()) await writeFile(join(copy, entry.name), await readFile(join(state, entry.name)));
  }
  return { state: copy, bus: createMemoryBus() };
}
