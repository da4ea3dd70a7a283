import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, it } from 'vitest';
import type { ModelDict } from '../../schemas/snapshot.ts';
import type { NatsBus } from '../../src/bus/nats.ts';
import { startUpstream } from '../../src/testing/upstream.ts';
import { folder, type Running, startNode } from '../cli/program.ts';
import { connectTestBus, uniqueId } from './connect-test-bus.ts';

const limit = { requests: 20, windowMs: 500 };
/** Arrivals here are later than the sending, now more and now less: so much of the window is certain. */
const certainShare = 0.7;
const script = fileURLToPath(new URL('../runtime/restart/host.mjs', import.meta.url));

interface Arrival {
  readonly id: string;
  readonly at: number;
}

/** What the store says in the moment of a death: which calls wait, and which of these have begun or ended since. */
function readStore(state: string, id: string): { waiting: string[]; begun: Set<string>; over: Set<string> } {
  const dict = JSON.parse(readFileSync(join(state, `${id}.json`), 'utf8')) as ModelDict;
  const begun = new Set<string>();
  const over = new Set<string>();
  for (const name of readdirSync(state).filter((file) => file.endsWith('.log'))) {
    if (Number(name.split('.').at(-2)) < (dict.state?.generation ?? 0)) continue;
    for (const line of readFileSync(join(state, name), 'utf8').split('\n').slice(0, -1)) {
      const entry = JSON.parse(line) as { start?: string; end?: string };
      if (entry.start !== undefined) begun.add(entry.start);
      if (entry.end !== undefined) over.add(entry.end);
    }
  }
  const waiting = (dict.state?.calls ?? []).filter(({ run }) => run === undefined).map((call) => call.id);
  return { waiting, begun, over };
}

/** Kills a serving process again and again under load, and says what became of the calls. */
async function killAgainAndAgain(bus: NatsBus, kills: number) {
  const id = uniqueId();
  const state = join(folder, id);
  const arrivals: Arrival[] = [];
  await using upstream = await startUpstream(async (request, reply) => {
    const { messages } = request.json() as { messages: { content: string }[] };
    arrivals.push({ id: messages[0]?.content ?? '', at: performance.now() });
    await new Promise((resolve) => setTimeout(resolve, 40));
    reply.json({ choices: [{ message: { content: 'ok' } }] });
  });
  const config = {
    nats: { servers: inject('natsUrl') },
    models: {
      [id]: {
        provider: 'openai',
        model: 'm',
        baseUrl: `${upstream.url}/v1`,
        apiKey: 'sk-for-a-test',
        limitRequests: limit.requests,
        interval: limit.windowMs / 1_000,
        queueCapacity: 1_000,
        retry: null,
      },
    },
    state,
    stateInterval: 0.03,
  };
  // Loading its modules is most of a start: the next process does that while this one is under load.
  let spare = startNode([script, JSON.stringify(config)]);
  const start = async (): Promise<Running> => {
    const host = spare;
    await host.until(/loaded/);
    host.child.kill('SIGUSR2');
    await host.until(/ready/);
    return host;
  };
  const kept = new Set<string>();
  const interrupted = new Set<string>();
  let sent = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const host = await start();
    spare = startNode([script, JSON.stringify(config)]);
    for (let n = 0; n < limit.requests; n += 1) {
      sent += 1;
      const callId = `${id}-${sent}`;
      bus.publish(
        `imodel.${id}.invoke`,
        { messages: [{ role: 'user', content: callId }] },
        { headers: { 'Imodel-Call': callId } },
      );
    }
    await bus.flush();
    await new Promise((resolve) => setTimeout(resolve, 20 + ((kill * 37) % 120)));
    host.child.kill('SIGKILL');
    await host.ended;
    const { waiting, begun, over } = readStore(state, id);
    for (const callId of waiting) {
      kept.add(callId);
      if (begun.has(callId) && !over.has(callId)) interrupted.add(callId);
    }
  }
  const last = await start();
  const remote = async () => {
    const message = await bus.request(`imodel.${id}.state`, {}, { timeoutMs: 5_000 });
    const { queue, running } = message.value() as { queue: { waiting: number }; running: number };
    return queue.waiting + running;
  };
  await expect.poll(remote, { timeout: 15_000, interval: 50 }).toBe(0);
  last.child.kill('SIGTERM');
  expect((await last.ended).code).toBe(0);
  return { arrivals, kept, interrupted };
}

describe('a serving process that is killed 50 times under load', () => {
  it('loses no call that waited in its last snapshot, sends none twice, and keeps its limit', async () => {
    const bus = await connectTestBus();
    const both = await Promise.all([killAgainAndAgain(bus, 25), killAgainAndAgain(bus, 25)]);
    await bus.close();
    for (const { arrivals, kept, interrupted } of both) {
      const seen = arrivals.map(({ id }) => id);
      expect(new Set(seen).size).toBe(seen.length);
      expect(kept.size).toBeGreaterThan(25);
      expect([...kept].filter((id) => !seen.includes(id) && !interrupted.has(id))).toEqual([]);
      for (const { at } of arrivals) {
        const until = at + limit.windowMs * certainShare;
        const together = arrivals.filter((other) => other.at >= at && other.at < until);
        expect(together.length).toBeLessThanOrEqual(limit.requests);
      }
    }
  }, 60_000);
});
