import { connect, type Msg } from 'nats';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import type { Bus } from '../../src/bus/bus.ts';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { announceService, type ServiceOptions } from '../../src/bus/service.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';

const basicName = z.string().regex(/^[a-zA-Z0-9_-]+$/);
const metadata = z.record(z.string(), z.string()).nullable().optional();
const identity = {
  name: basicName,
  id: z.string().min(1),
  version: z.string().regex(/^\d+\.\d+\.\d+/),
  metadata,
};

/** The published schemas of the three replies, https://github.com/nats-io/jsm.go/tree/main/schema_source/micro/v1 (read 2026-11). */
const replies = {
  PING: z.strictObject({ type: z.literal('io.nats.micro.v1.ping_response'), ...identity }),
  INFO: z.strictObject({
    type: z.literal('io.nats.micro.v1.info_response'),
    ...identity,
    description: z.string(),
    endpoints: z.array(
      z.strictObject({ name: basicName, subject: z.string().min(1), queue_group: z.string(), metadata }),
    ),
  }),
  STATS: z.strictObject({
    type: z.literal('io.nats.micro.v1.stats_response'),
    ...identity,
    started: z.iso.datetime(),
    endpoints: z.array(
      z.strictObject({
        name: basicName,
        subject: z.string().min(1),
        queue_group: z.string(),
        num_requests: z.int(),
        num_errors: z.int(),
        last_error: z.string(),
        processing_time: z.int(),
        average_processing_time: z.int(),
        data: z.record(z.string(), z.unknown()).optional(),
      }),
    ),
  }),
};

const service = (name: string, id: string): ServiceOptions => ({
  name,
  id,
  version: '1.2.3-rc.1+build.5',
  description: 'A model',
  metadata: { model: 'gpt' },
  startedAt: Date.UTC(2026, 10, 22),
  endpoints: [
    {
      name: 'invoke',
      subject: 'imodel.gpt.invoke',
      queue: 'imodel',
      metadata: { request_schema: 'invoke.v1' },
      counts: () => ({ requests: 3, errors: 1, lastError: 'queue full', processingMs: 10.5, data: { in_flight: 2 } }),
    },
    { name: 'state', subject: 'imodel.gpt.state', counts: () => ({ requests: 0, errors: 0, processingMs: 0 }) },
  ],
});

const buses: Record<string, () => Promise<Bus>> = {
  memory: async () => createMemoryBus(),
  nats: () => connectTestBus(),
};

describe.each(Object.entries(buses))('a service on the bus over %s', (_name, open) => {
  let bus: Bus | undefined;
  afterEach(() => bus?.close());

  it.each(['PING', 'INFO', 'STATS'] as const)(
    'answers %s to all, to its name and to its id, as the schema says',
    async (verb) => {
      bus = await open();
      const name = uniqueId();
      const announced = announceService(bus, service(name, `${name}-1`));
      await bus.flush();
      for (const subject of [`$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.${announced.id}`]) {
        const reply = await bus.request(subject, undefined, { timeoutMs: 5_000 });
        const value = replies[verb].parse(reply.value());
        expect(value).toMatchObject({
          name,
          id: `${name}-1`,
          version: '1.2.3-rc.1+build.5',
          metadata: { model: 'gpt' },
        });
      }
      const everybody = await bus.request(`$SRV.${verb}`, undefined, { timeoutMs: 5_000 });
      replies[verb].parse(everybody.value());
      announced.close();
      announced.close();
      await bus.flush();
      await expect(bus.request(`$SRV.${verb}.${name}`, undefined, { timeoutMs: 5_000 })).rejects.toMatchObject({
        code: 'no_responder',
      });
    },
  );

  it('tells where it listens and what it has done', async () => {
    bus = await open();
    const name = uniqueId();
    announceService(bus, service(name, 'x'));
    await bus.flush();
    const info = await bus.request(`$SRV.INFO.${name}`, undefined, { timeoutMs: 5_000 });
    expect(info.value()).toMatchObject({
      endpoints: [
        {
          name: 'invoke',
          subject: 'imodel.gpt.invoke',
          queue_group: 'imodel',
          metadata: { request_schema: 'invoke.v1' },
        },
        { name: 'state', subject: 'imodel.gpt.state', queue_group: '' },
      ],
    });
    const stats = await bus.request(`$SRV.STATS.${name}.x`, undefined, { timeoutMs: 5_000 });
    expect(stats.value()).toMatchObject({
      started: '2026-11-22T00:00:00.000Z',
      endpoints: [
        {
          num_requests: 3,
          num_errors: 1,
          last_error: 'queue full',
          processing_time: 10_500_000,
          average_processing_time: 3_500_000,
          data: { in_flight: 2 },
        },
        { num_requests: 0, num_errors: 0, last_error: '', processing_time: 0, average_processing_time: 0 },
      ],
    });
  });

  it.each([
    [{ name: 'a.b' }, 'name'],
    [{ version: '1.2' }, 'version'],
    [{ id: 'a b' }, 'id'],
  ])('refuses %j', async (wrong, field) => {
    const opened = await open();
    bus = opened;
    expect(() => announceService(opened, { ...service('a', 'b'), ...wrong })).toThrow(
      expect.objectContaining({ code: 'config', failure: expect.objectContaining({ field }) }),
    );
  });
});

it('every instance answers a client that asks for all', async () => {
  const [first, second] = [await connectTestBus(), await connectTestBus()];
  const client = await connect({ servers: inject('natsUrl') });
  const name = uniqueId();
  announceService(first, service(name, 'one'));
  announceService(second, service(name, 'two'));
  await Promise.all([first.flush(), second.flush()]);
  const ids: string[] = [];
  const inbox = uniqueId();
  const both = new Promise<void>((resolve) => {
    client.subscribe(inbox, {
      callback: (_error, message: Msg) => {
        ids.push(message.json<{ id: string }>().id);
        if (ids.length === 2) resolve();
      },
    });
  });
  client.publish(`$SRV.PING.${name}`, '', { reply: inbox });
  await both;
  expect(ids.sort()).toEqual(['one', 'two']);
  await Promise.all([first.close(), second.close(), client.close()]);
});
