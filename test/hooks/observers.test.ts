import { once } from 'node:events';
import { connect as openSocket } from 'node:net';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { subjects } from '../../src/bus/subjects.ts';
import { until } from '../integration/private-server.ts';
import { buses, type Served, serveScripted } from '../integration/served-model.ts';

const hello = { messages: [{ role: 'user', content: 'hello' }] };
const calls = 300;

/** Subscribes with nothing but a socket, and never reads what comes. Resolves when the server has the subscription. */
async function stalledSocket(pattern: string): Promise<() => void> {
  const { hostname, port } = new URL(inject('natsUrl'));
  const socket = openSocket(Number(port), hostname);
  await once(socket, 'data');
  socket.write(`CONNECT {"verbose":false}\r\nSUB ${pattern} 1\r\nPING\r\n`);
  await once(socket, 'data');
  socket.pause();
  return () => socket.destroy();
}

describe.each(Object.entries(buses))('observers on %s', (busName, open) => {
  let served: Served;
  afterEach(() => served[Symbol.asyncDispose]());

  it('that throw, reject, never end or never read fail no call, hold none up, and keep nothing from the others', async () => {
    served = await serveScripted(open);
    const { model, remote, caller, id } = served;
    const pattern = subjects.everyEvent(id);
    const heard: number[] = [0, 0, 0, 0, 0, 0];
    const handlers = [
      () => {
        throw new Error('an observer that throws');
      },
      () => Promise.reject(new Error('an observer that rejects')),
      () => new Promise<void>(() => {}),
      ...heard.map((_, index) => () => {
        heard[index] = (heard[index] ?? 0) + 1;
      }),
    ];
    for (const handler of handlers) caller.subscribe(pattern, handler);
    const leave = busName === 'nats' ? await stalledSocket(pattern) : () => {};
    // Here too, in the midst of the actor.
    model.observe(() => {
      throw new Error('an observer that throws at once');
    });
    await caller.flush();
    const ended = await Promise.all(
      Array.from({ length: calls }, (_, index) => (index % 2 === 0 ? model : remote).invoke(hello)),
    );
    expect(new Set(ended.map(({ status }) => status))).toEqual(new Set(['completed']));
    await until(() => heard.every((count) => count === heard[0] && count >= 4 * calls));
    leave();
  });
});
